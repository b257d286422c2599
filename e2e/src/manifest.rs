//! Manifest files.

use anyhow::{Context as _, Result};
use serde::Deserialize as _;
use serde_json::Value;

/// The documents of a YAML file, empty ones left out.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).context("a document is not YAML"))
        .filter(|document| !matches!(document, Ok(Value::Null)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_as_many_documents_as_it_says_something_in() {
        let text = "# only a comment\n---\nkind: A\n---\n---\nkind: B\n";
        let kinds: Vec<Value> = documents(text).unwrap().iter().map(|document| document["kind"].clone()).collect();
        assert_eq!(kinds, ["A", "B"]);
        assert!(documents("a: [").is_err());
    }
}
