//! Root file systems of Debian packages, made by mmdebstrap without a registry and kept in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::recipe;
use crate::{digest::Key, ui::Step};

/// In a recipe's folder: what the root file system is made of.
pub(super) const FILE: &str = "rootfs.yaml";
/// Beside it, optional: a script that mmdebstrap runs with the name of a moment and the root's path. The moments: `extract` (the packages are
/// unpacked; the only one of variant `extract`), `essential` (the essential ones work), `customize` (all are installed).
pub(super) const HOOK: &str = "rootfs.sh";

const RELEASE: &str = "bookworm";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// mmdebstrap's: `extract` unpacks only, `essential` installs packages with their scripts.
    variant: String,
    packages: Vec<String>,
    /// Paths that dpkg leaves out.
    #[serde(default)]
    exclude: Vec<String>,
}

/// The archive of a recipe's root file system, and the hash of what it is made from.
pub(super) fn ensure(step: &Step, name: &str) -> Result<(PathBuf, String)> {
    let dir = recipe::root().join(name);
    let file = dir.join(FILE);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let description: Description =
        serde_yaml::from_str(&text).with_context(|| format!("{} is not a root file system", file.display()))?;
    let hook = dir.join(HOOK);
    let mut key = Key::new().part(RELEASE).part(&text);
    if hook.exists() {
        key = key.file(&hook)?;
    }
    let key = key.hex(12);
    let archive = devenv::paths::cache_dir().join("images").join(format!("rootfs-{name}-{key}.tar"));
    if !archive.exists() {
        step.say(&format!("root file system of {name}"));
        fs::create_dir_all(archive.parent().unwrap_or(&archive))?;
        let partial = archive.with_extension("partial.tar");
        let mut command = step.command("mmdebstrap").env("SOURCE_DATE_EPOCH", "1").args([
            format!("--variant={}", description.variant),
            format!("--include={}", description.packages.join(",")),
            "--aptopt=APT::Install-Recommends \"false\"".to_owned(),
            // Devices are the runtime's.
            "--skip=output/dev".to_owned(),
        ]);
        command = command.args(description.exclude.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
        if hook.exists() {
            let hook = hook.display();
            command = command.args([
                format!("--extract-hook=sh -eu '{hook}' extract \"$1\""),
                format!("--essential-hook=sh -eu '{hook}' essential \"$1\""),
                format!("--customize-hook=sh -eu '{hook}' customize \"$1\""),
            ]);
        }
        command
            .arg(RELEASE)
            .arg(&partial)
            .hint("Debian packages come from the mirror in /etc/apt/sources.list: check that `apt-get update` works")
            .run()?;
        fs::rename(&partial, &archive).with_context(|| format!("cannot create {}", archive.display()))?;
        remove_others(&archive, name)?;
    }
    Ok((archive, key))
}

/// Images keep what they were built from: one root file system of a name is enough.
fn remove_others(archive: &Path, name: &str) -> Result<()> {
    let (folder, prefix) = (archive.parent().unwrap_or(archive), format!("rootfs-{name}-"));
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let is_other = path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&prefix));
        if is_other && path != archive {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
