//! The workspace's own programs, as the release profile builds them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::workspace;
use anyhow::{Context as _, Result};
use serde_json::Value;

use super::recipe::{self, Recipe};
use crate::{command::Cmd, tools, ui::Step};

/// The package of kubectl's plugin. No image has it, but nothing builds it at less cost than the call that builds the rest.
const PLUGIN: &str = "plugin";

/// Built programs by name.
pub(super) struct Binaries(BTreeMap<String, PathBuf>);

impl Binaries {
    pub(super) fn path(&self, name: &str) -> Result<&Path> {
        let path = self.0.get(name).with_context(|| format!("cargo built no program named {name}"))?;
        Ok(path)
    }

    /// Puts kubectl's plugin beside kubectl, which finds it there by its name.
    pub(super) fn link_plugin(&self, dir: &Path) -> Result<()> {
        tools::link(dir, tools::PLUGIN, self.path(tools::PLUGIN)?)
    }
}

/// Makes a call to cargo compile programs as the images carry them: in the release profile, and with the C library in them, so
/// that a process maps the parts that it uses and no whole libraries, and images carry none.
pub(crate) fn as_released(cargo: Cmd<'_>) -> Cmd<'_> {
    // With a target, even if it is this machine, the flags are not those of build scripts and macros too.
    cargo
        .args(["--profile", "release", "--target", "host-tuple"])
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
}

/// Builds every program that the recipes name, and with them those of the cluster's recipes and the plugin: one call to cargo,
/// the same whichever images are wanted, so that features unify the same way each time.
pub(super) fn ensure(step: &Step, recipes: &[Recipe]) -> Result<Binaries> {
    if recipes.iter().all(|recipe| recipe.binaries().is_empty()) {
        return Ok(Binaries(BTreeMap::new()));
    }
    let all = recipe::all(&recipe::root())?;
    let names: BTreeSet<&String> = all.iter().chain(recipes).flat_map(Recipe::binaries).collect();
    step.say("cargo build --release");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = step
        .command(Path::new(&cargo))
        .args(["build", "--locked", "--message-format=json-render-diagnostics"])
        .args(names.iter().map(|name| name.as_str()).chain([PLUGIN]).flat_map(|name| ["--package", name]))
        .directory(&workspace::root())
        .hint("read the compiler's messages in the log");
    let messages = as_released(build).output()?;
    Ok(Binaries(executables(&messages)))
}

/// The programs among cargo's JSON messages, one a line.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let path = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_with_a_program_count() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"types"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"operator"},"executable":"/t/x86_64-unknown-linux-gnu/release/operator"}
{"reason":"build-finished","success":true}
"#;
        let found = executables(messages);
        assert_eq!(
            found,
            BTreeMap::from([("operator".to_owned(), PathBuf::from("/t/x86_64-unknown-linux-gnu/release/operator"))])
        );
    }
}
