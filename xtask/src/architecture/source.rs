//! Rust sources as lines of code, without comments.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// One file.
pub(super) struct Source {
    /// Its path relative to the root, with forward slashes.
    pub(super) path: String,
    text: String,
}

impl Source {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Where one of `words` stands outside of comments, as `path:line: word`. A word must not be the end of a longer one.
    pub(super) fn find(&self, words: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let words = words.iter().filter(|word| stands_in(code, word));
            found.extend(words.map(|word| format!("{}:{}: {word}", self.path, number + 1)));
        }
        found
    }
}

/// Whether `word` stands in `code` and is not the end of a longer word.
fn stands_in(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Every `.rs` file below `dir`, but what cargo made.
pub(super) fn of_folder(root: &Path, dir: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            // A package within a package is a folder of its own in the workspace.
            if path.is_dir() && !path.ends_with("target") && !path.join("Cargo.toml").is_file() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                found.push(Source::new(path.strip_prefix(root).unwrap_or(&path).to_string_lossy(), text));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_with_their_place() {
        let source = Source::new("a.rs", "use std::fmt;\nuse axum::Router;\n");
        assert_eq!(source.find(&["axum::", "sqlx::"]), ["a.rs:2: axum::"]);
    }

    #[test]
    fn comments_and_longer_words_are_not_meant() {
        let source = Source::new("a.rs", "/// like sqlx::query\nuse my_sqlx::x; // sqlx::y\n");
        assert!(source.find(&["sqlx::"]).is_empty());
    }
}
