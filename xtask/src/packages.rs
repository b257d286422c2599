//! The packages of the workspace, as cargo sees them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::workspace;

/// One package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder, absolute.
    pub(crate) dir: PathBuf,
    /// Its folder relative to the workspace's root, with forward slashes.
    pub(crate) folder: String,
    /// What it depends on.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency as the manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    kind: Option<String>,
}

impl Dependency {
    /// Whether only tests and examples need it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// Every package of the workspace, by name.
pub(crate) fn of_workspace() -> Result<Vec<Package>> {
    parse(metadata()?)
}

/// Where cargo builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    Ok(metadata()?.target_directory)
}

fn metadata() -> Result<Metadata> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(workspace::root())
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cannot understand cargo metadata")
}

/// The names of all packages that building or testing anything here compiles, on any platform. The lock file says more: it
/// also holds what only features that nobody asks for would bring.
pub(crate) fn compiled() -> Result<BTreeSet<String>> {
    let output = Command::new("cargo")
        .args(["tree", "--locked", "--workspace", "--target", "all", "--prefix", "none", "--format", "{p}"])
        .current_dir(workspace::root())
        .output()
        .context("cannot run cargo tree")?;
    ensure!(output.status.success(), "cargo tree failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

fn parse(metadata: Metadata) -> Result<Vec<Package>> {
    let root = metadata.workspace_root;
    let mut packages = metadata.packages.into_iter().map(|raw| package(raw, &root)).collect::<Result<Vec<_>>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn package(raw: RawPackage, root: &Path) -> Result<Package> {
    let dir = raw.manifest_path.parent().context("a manifest without a folder")?.to_path_buf();
    let folder = dir.strip_prefix(root).context("a package outside of the workspace")?.to_string_lossy().into_owned();
    Ok(Package { name: raw.name, dir, folder, dependencies: raw.dependencies })
}

#[cfg(test)]
impl Dependency {
    pub(crate) fn new(name: &str, kind: Option<&str>) -> Self {
        Self { name: name.to_owned(), kind: kind.map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_come_with_folder_and_dependencies_by_name() {
        let json = br#"{"workspace_root": "/w", "target_directory": "/w/target", "packages": [
            {"name": "kit", "manifest_path": "/w/crates/kit/Cargo.toml", "dependencies": []},
            {"name": "cart", "manifest_path": "/w/services/cart/Cargo.toml",
             "dependencies": [{"name": "kit", "kind": null}, {"name": "testkit", "kind": "dev"}]}]}"#;
        let packages = parse(serde_json::from_slice(json).unwrap()).unwrap();
        assert_eq!(packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["cart", "kit"]);
        assert_eq!(packages[0].dir, PathBuf::from("/w/services/cart"));
        assert_eq!(packages[0].folder, "services/cart");
        assert!(packages[0].dependencies[1].is_dev() && !packages[0].dependencies[0].is_dev());
    }
}
