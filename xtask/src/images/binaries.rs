//! The workspace's own programs, as the release profile builds them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::workspace;
use anyhow::{Context as _, Result};
use serde_json::Value;

use super::recipe::Recipe;
use crate::{tools, ui::Step};

/// The package of kubectl's plugin. No image has it, but nothing builds it at less cost than the call that builds the rest.
const PLUGIN: &str = "plugin";

/// How they are linked: with the C library in them, so that each of a pod's processes maps the parts that it uses and no whole
/// libraries, and images carry none. Named as for another target, which is the one way to spare build scripts and macros.
const TARGET: [&str; 2] = ["--target", "host-tuple"];
const FLAGS: &str = "-Ctarget-feature=+crt-static";

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

/// Builds every program that the recipes name, and the plugin: one call to cargo, so that features unify the same way each time.
pub(super) fn ensure(step: &Step, recipes: &[Recipe]) -> Result<Binaries> {
    let names: BTreeSet<&String> = recipes.iter().flat_map(Recipe::binaries).collect();
    if names.is_empty() {
        return Ok(Binaries(BTreeMap::new()));
    }
    step.say("cargo build --release");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let messages = step
        .command(Path::new(&cargo))
        .args(["build", "--release", "--locked", "--message-format=json-render-diagnostics"])
        .args(TARGET)
        .args(names.iter().map(|name| name.as_str()).chain([PLUGIN]).flat_map(|name| ["--package", name]))
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS)
        .directory(&workspace::root())
        .hint("read the compiler's messages in the log")
        .output()?;
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
