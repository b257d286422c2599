//! Folders that outlive one build.

use std::path::{Path, PathBuf};

/// The folder of caches that survive a fresh clone: `$XDG_CACHE_HOME/greencommerce`, else `~/.cache/greencommerce`.
///
/// Falls back to `/tmp/greencommerce-cache` for a user without a home.
#[must_use]
pub fn cache_dir() -> PathBuf {
    cache_dir_from(std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from), std::env::home_dir())
}

/// The root folder of the workspace this code was built in.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// The folder of the backing services: `target/dev` of the workspace, also when cargo builds elsewhere, so that every
/// test process and `cargo xtask dev` share one set.
#[must_use]
pub fn dev_dir() -> PathBuf {
    workspace_root().join("target/dev")
}

/// Where `cargo xtask tools` links the programs that tests run.
#[must_use]
pub fn tools_dir() -> PathBuf {
    dev_dir().join("tools")
}

fn cache_dir_from(xdg: Option<PathBuf>, home: Option<PathBuf>) -> PathBuf {
    xdg.filter(|dir| dir.is_absolute())
        .or_else(|| home.filter(|dir| dir.is_absolute()).map(|dir| dir.join(".cache")))
        .map_or_else(|| PathBuf::from("/tmp/greencommerce-cache"), |dir| dir.join("greencommerce"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_xdg_folder_wins() {
        let dir = cache_dir_from(Some("/var/cache".into()), Some("/home/ada".into()));
        assert_eq!(dir, Path::new("/var/cache/greencommerce"));
    }

    #[test]
    fn a_relative_xdg_folder_is_ignored_as_its_specification_says() {
        let dir = cache_dir_from(Some("cache".into()), Some("/home/ada".into()));
        assert_eq!(dir, Path::new("/home/ada/.cache/greencommerce"));
    }

    #[test]
    fn a_user_without_a_home_still_has_a_cache() {
        assert_eq!(cache_dir_from(None, None), Path::new("/tmp/greencommerce-cache"));
    }

    #[test]
    fn the_workspace_root_holds_the_lock_file() {
        assert!(workspace_root().join("Cargo.lock").is_file());
    }
}
