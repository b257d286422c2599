//! `cargo xtask`, as a person at this checkout would run it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::workspace;

/// Runs `cargo xtask …`, which must succeed, and gives what it printed.
pub fn xtask(arguments: &[&str]) -> Result<String> {
    let line = format!("cargo xtask {}", arguments.join(" "));
    let output = Command::new("cargo").arg("xtask").args(arguments).current_dir(workspace()).output();
    let output = output.with_context(|| format!("cannot start {line}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{line}: {text}");
    Ok(text)
}
