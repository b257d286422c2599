//! The merged OpenAPI document, printed by the services' binary.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Mode, artifacts, artifacts::Files, program};
use crate::{ui::Step, workspace};

const FILE: &str = "openapi.json";

/// `docs/api/openapi.json`.
pub(super) fn generate(step: &Step, mode: Mode) -> Result<Vec<PathBuf>> {
    let printed = step.command(program(step, "greencommerce", mode)?).arg("openapi").output()?;
    let files = Files::from([(FILE.to_owned(), pretty(&printed)?.into_bytes())]);
    artifacts::place(&workspace::root().join("docs/api"), &files, |name| name == FILE, mode)
}

/// One key a line, so that changes can be reviewed.
fn pretty(printed: &str) -> Result<String> {
    let document: Value = serde_json::from_str(printed).context("`greencommerce openapi` printed no JSON")?;
    ensure!(document["openapi"].is_string() && document["paths"].is_object(), "this is no OpenAPI document");
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_laid_out_for_review() {
        assert_eq!(
            pretty(r#"{"openapi":"3.1.0","paths":{}}"#).unwrap(),
            "{\n  \"openapi\": \"3.1.0\",\n  \"paths\": {}\n}\n"
        );
    }

    #[test]
    fn other_json_is_refused() {
        assert!(pretty("{}").is_err());
        assert!(pretty("panicked at").is_err());
    }
}
