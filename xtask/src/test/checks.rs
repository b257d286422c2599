//! Checks of the code as text: none runs it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use devenv::{debian, paths::cache_dir};

use crate::{architecture, generate, ui::Step, workspace};

/// A C and C++ compiler for the libraries beneath (librdkafka, aws-lc), the servers of the service tests, and what checks
/// alerts.
const PACKAGES: &[&str] = &["build-essential", "postgresql-15", "prometheus", "redis-server"];

const CARGO_DENY: &str = "0.20.2";

/// Installs what the following steps need, or says what is missing.
pub(super) fn packages(step: &Step) -> Result<()> {
    let installed = debian::ensure_packages(PACKAGES)?;
    step.note(if installed.is_empty() { "nothing missing".to_owned() } else { installed.join(" ") });
    Ok(())
}

pub(super) fn format(step: &Step) -> Result<()> {
    let check = step.command("cargo").args(["fmt", "--all", "--check"]).directory(&workspace::root());
    check.hint("run `cargo fmt --all`").run()
}

pub(super) fn clippy(step: &Step) -> Result<()> {
    step.command("cargo")
        .args(["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"])
        .directory(&workspace::root())
        .run()
}

pub(super) fn docs(step: &Step) -> Result<()> {
    step.command("cargo")
        .args(["doc", "--locked", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "--deny warnings")
        .directory(&workspace::root())
        .run()
}

/// Bans, licences and sources as deny.toml has them. Advisories are left to a scheduled job with a network.
pub(super) fn deny(step: &Step) -> Result<()> {
    // All that the lock file names, for every platform: a machine that has only compiled lacks what others need.
    step.command("cargo").args(["fetch", "--locked"]).directory(&workspace::root()).run()?;
    step.command(cargo_deny(step)?)
        .args([
            "--locked",
            "--offline",
            "--workspace",
            "check",
            "--hide-inclusion-graph",
            "bans",
            "licenses",
            "sources",
        ])
        .env("CARGO_TERM_COLOR", "never")
        .directory(&workspace::root())
        .run()
}

pub(super) fn generated(step: &Step) -> Result<()> {
    generate::check(step)
}

pub(super) fn architecture(step: &Step) -> Result<()> {
    let rules = architecture::check(&workspace::root())?;
    step.note(format!("{rules} invariants hold"));
    Ok(())
}

/// The program, built once per version into the cache.
fn cargo_deny(step: &Step) -> Result<PathBuf> {
    let root = cache_dir().join(format!("cargo-deny-{CARGO_DENY}"));
    let program = root.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    step.say("building cargo-deny, once for this machine");
    let target = cache_dir().join("cargo-deny-build");
    step.command("cargo")
        .args(["install", "--locked", "--version", CARGO_DENY, "--root"])
        .arg(&root)
        .arg("cargo-deny")
        .env("CARGO_TARGET_DIR", &target)
        .hint("cargo-deny is built from its crate: the registry must be reached for that")
        .run()?;
    std::fs::remove_dir_all(&target).with_context(|| format!("cannot remove {}", target.display()))?;
    Ok(program)
}
