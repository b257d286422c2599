//! Generated files and the folders they belong in.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::Mode;

/// Names and contents of the files of one folder.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Makes the files of `dir` that `ours` recognises equal to `files`: writes what differs, removes what is no longer
/// generated. Returns what it changed, or would change.
pub(super) fn place(dir: &Path, files: &Files, ours: impl Fn(&str) -> bool, mode: Mode) -> Result<Vec<PathBuf>> {
    let existing = read(dir, ours)?;
    let mut changed = Vec::new();
    for (name, content) in files.iter().filter(|(name, content)| existing.get(*name) != Some(content)) {
        changed.push(dir.join(name));
        if mode == Mode::Write {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
            fs::write(dir.join(name), content).with_context(|| format!("cannot write {}", dir.join(name).display()))?;
        }
    }
    for name in existing.keys().filter(|name| !files.contains_key(*name)) {
        changed.push(dir.join(name));
        if mode == Mode::Write {
            fs::remove_file(dir.join(name)).with_context(|| format!("cannot remove {}", dir.join(name).display()))?;
        }
    }
    Ok(changed)
}

/// The files of a folder that `ours` recognises; none where there is no folder.
pub(super) fn read(dir: &Path, ours: impl Fn(&str) -> bool) -> Result<Files> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Files::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", dir.display())),
    };
    let mut files = Files::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if ours(&name) && entry.file_type()?.is_file() {
            let content = fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
            files.insert(name, content);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> Files {
        entries.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
    }

    fn yaml(name: &str) -> bool {
        name.to_ascii_lowercase().ends_with(".yaml")
    }

    #[test]
    fn writing_replaces_what_differs_removes_what_is_stale_and_leaves_strangers() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [("same.yaml", "1"), ("old.yaml", "2"), ("stale.yaml", "3"), ("README.md", "4")] {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let wanted = files(&[("same.yaml", "1"), ("old.yaml", "new"), ("added.yaml", "5")]);
        let changed = place(dir.path(), &wanted, yaml, Mode::Write).unwrap();
        assert_eq!(changed, ["added.yaml", "old.yaml", "stale.yaml"].map(|name| dir.path().join(name)));
        assert_eq!(read(dir.path(), yaml).unwrap(), wanted);
        assert!(dir.path().join("README.md").is_file());
        assert_eq!(place(dir.path(), &wanted, yaml, Mode::Write).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn checking_names_the_files_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "old").unwrap();
        let changed = place(dir.path(), &files(&[("a.yaml", "new"), ("b.yaml", "")]), yaml, Mode::Check).unwrap();
        assert_eq!(changed, ["a.yaml", "b.yaml"].map(|name| dir.path().join(name)));
        assert_eq!(fs::read_to_string(dir.path().join("a.yaml")).unwrap(), "old");
        assert!(!dir.path().join("b.yaml").exists());
    }

    #[test]
    fn a_folder_that_does_not_exist_has_no_files() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none"), yaml).unwrap(), Files::new());
    }
}
