//! The packages of the workspace, as cargo sees them.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::workspace;

/// One package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder, absolute.
    pub(crate) dir: PathBuf,
    /// What it depends on.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency as the manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// Every package of the workspace, by name.
pub(crate) fn of_workspace() -> Result<Vec<Package>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(workspace::root())
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    parse(&output.stdout)
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

fn parse(json: &[u8]) -> Result<Vec<Package>> {
    let metadata: Metadata = serde_json::from_slice(json).context("cannot understand cargo metadata")?;
    let mut packages = metadata.packages.into_iter().map(package).collect::<Result<Vec<_>>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn package(raw: RawPackage) -> Result<Package> {
    let dir = raw.manifest_path.parent().context("a manifest without a folder")?.to_path_buf();
    Ok(Package { name: raw.name, dir, dependencies: raw.dependencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_come_with_folder_and_dependencies_by_name() {
        let json = br#"{"packages": [
            {"name": "kit", "manifest_path": "/w/crates/kit/Cargo.toml", "dependencies": []},
            {"name": "cart", "manifest_path": "/w/services/cart/Cargo.toml",
             "dependencies": [{"name": "kit", "kind": null}, {"name": "testkit", "kind": "dev"}]}]}"#;
        let packages = parse(json).unwrap();
        assert_eq!(packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["cart", "kit"]);
        assert_eq!(packages[0].dir, PathBuf::from("/w/services/cart"));
        assert_eq!(packages[0].dependencies[1].kind.as_deref(), Some("dev"));
    }
}
