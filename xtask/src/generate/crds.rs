//! The custom resource definitions, printed by the operator itself.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::{Mode, artifacts, artifacts::Files, program};
use crate::{ui::Step, workspace};

/// One file per definition in `crds/`, and the same in the chart.
pub(super) fn generate(step: &Step, mode: Mode) -> Result<Vec<PathBuf>> {
    let printed = step.command(program(step, "operator", mode)?).arg("crds").output()?;
    let files = split(&printed)?;
    let mut changed = Vec::new();
    for dir in ["crds", "charts/greencommerce/files/crds"] {
        changed.extend(artifacts::place(&workspace::root().join(dir), &files, is_yaml, mode)?);
    }
    Ok(changed)
}

#[derive(Deserialize)]
struct Definition {
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Splits a stream of YAML documents into files named after the resources.
fn split(stream: &str) -> Result<Files> {
    let mut files = Files::new();
    for document in stream.split("\n---\n").map(|part| part.trim_start_matches("---\n").trim()) {
        if document.is_empty() {
            continue;
        }
        let Definition { kind, metadata } = serde_yaml::from_str(document).context("the operator printed no YAML")?;
        ensure!(kind == "CustomResourceDefinition", "the operator printed a {kind}");
        files.insert(format!("{}.yaml", metadata.name), format!("{document}\n").into_bytes());
    }
    ensure!(!files.is_empty(), "the operator printed no definition");
    Ok(files)
}

fn is_yaml(name: &str) -> bool {
    name.strip_suffix(".yaml").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_definition_becomes_a_file_of_its_name() {
        let stream = "---\nkind: CustomResourceDefinition\nmetadata:\n  name: stores.greencommerce.dev\n---\n\
                      kind: CustomResourceDefinition\nmetadata:\n  name: storetopics.greencommerce.dev\nspec: {}\n";
        let files = split(stream).unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["stores.greencommerce.dev.yaml", "storetopics.greencommerce.dev.yaml"]);
        assert!(files["storetopics.greencommerce.dev.yaml"].ends_with(b"spec: {}\n"));
    }

    #[test]
    fn anything_else_in_the_stream_is_an_error() {
        assert!(split("kind: Secret\nmetadata:\n  name: x\n").is_err());
        assert!(split("").is_err());
    }
}
