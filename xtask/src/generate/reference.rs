//! `docs/reference.md`: every field of every kind, from the custom resource definitions in `crds/`.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Mode,
    artifacts::{self, Files},
};
use crate::workspace;

const FILE: &str = "reference.md";
/// Fields that Kubernetes defines, and describes at length.
const OF_KUBERNETES: [&str; 6] =
    ["conditions", "affinity", "tolerations", "topologySpreadConstraints", "metrics", "behavior"];
const HEAD: &str = "# Reference

Every field of the four kinds, as the custom resource definitions describe them. This page is generated: `cargo xtask gen
reference` writes it. The [guide](operator.md) says what to do with them.

A field with neither a default nor the word *required* may be left out. `[]` after a name means a list. What is in a field
that Kubernetes defines, such as a condition, stands in Kubernetes' own reference.
";

/// Renders the definitions that are there; `gen` brings these up to date before.
pub(super) fn generate(mode: Mode) -> Result<Vec<PathBuf>> {
    let root = workspace::root();
    let definitions = artifacts::read(&root.join("crds"), |name| name.strip_suffix(".yaml").is_some())?;
    ensure!(!definitions.is_empty(), "crds/ has no definition");
    let mut page = HEAD.to_owned();
    for (name, content) in &definitions {
        let definition: Value = serde_yaml::from_slice(content).with_context(|| format!("crds/{name} is no YAML"))?;
        page.push_str(&kind(&definition).with_context(|| format!("crds/{name} is no definition"))?);
    }
    let files = Files::from([(FILE.to_owned(), page.into_bytes())]);
    artifacts::place(&root.join("docs"), &files, |name| name == FILE, mode)
}

/// The section of one kind.
fn kind(definition: &Value) -> Result<String> {
    let names = &definition["spec"]["names"];
    let text = |name: &str| names[name].as_str().with_context(|| format!("spec.names.{name} is missing"));
    let version = &definition["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let short = names["shortNames"][0].as_str().unwrap_or_default();
    let mut page = format!("\n## {}\n\n{}\n\n", text("kind")?, line(&schema["description"]));
    let api = format!("{}/{}", definition["spec"]["group"].as_str().unwrap_or_default(), line(&version["name"]));
    writeln!(page, "`apiVersion: {api}`, `kubectl get {}` or `{short}`.", text("plural")?)?;
    for rule in rules(schema) {
        writeln!(page, "\nRule: {rule}.")?;
    }
    for part in ["spec", "status"] {
        let schema = &schema["properties"][part];
        for rule in rules(schema) {
            writeln!(page, "\nRule for `{part}`: {rule}.")?;
        }
        page.push_str("\n| field | type | default | meaning |\n|---|---|---|---|\n");
        fields(part, schema, &mut page)?;
    }
    Ok(page)
}

/// A row for each property, those below it after it.
fn fields(path: &str, schema: &Value, page: &mut String) -> Result<()> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let list = property["items"].is_object();
        let path = format!("{path}.{name}{}", if list { "[]" } else { "" });
        let inner = if list { &property["items"] } else { property };
        let default = match &property["default"] {
            Value::Null if required.contains(&name.as_str()) && path.starts_with("spec") => "*required*".to_owned(),
            // The defaults of what is in it stand in its own rows.
            Value::Null | Value::Object(_) => String::new(),
            value => format!("`{}`", plain(value)),
        };
        let mut meaning = vec![line(&property["description"])];
        let rules = rules(property).chain(if list { rules(inner).collect() } else { Vec::new() });
        meaning.extend(rules.map(|rule| format!("Rule: {rule}.")));
        writeln!(page, "| `{path}` | {} | {default} | {} |", type_of(property), cell(&meaning.join(" ")))?;
        if !OF_KUBERNETES.contains(&name.as_str()) {
            fields(&path, inner, page)?;
        }
    }
    Ok(())
}

/// The messages of a schema's rules.
fn rules(schema: &Value) -> impl Iterator<Item = String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.map(|rule| line(&rule["message"])).map(|message| message.trim_end_matches('.').to_owned())
}

/// The type of a property, with its bounds.
fn type_of(property: &Value) -> String {
    if let Some(values) = property["enum"].as_array() {
        return values.iter().map(|value| format!("`{}`", plain(value))).collect::<Vec<_>>().join(", ");
    }
    let bound = |name: &str| property[name].as_f64();
    let type_ = match property["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&property["items"])),
        Some(type_) => type_.to_owned(),
        None => "quantity".to_owned(),
    };
    match (bound("minimum"), bound("maximum"), bound("maxLength"), bound("maxItems")) {
        (Some(least), Some(most), _, _) => format!("{type_}, {least} to {most}"),
        (_, _, Some(most), _) => format!("{type_}, at most {most} characters"),
        (_, _, _, Some(most)) => format!("{type_}, at most {most}"),
        _ => type_,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Text on one line.
fn line(value: &Value) -> String {
    value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text that ends no cell of a table and, outside of code, begins no HTML.
fn cell(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| if at % 2 == 0 { part.replace('<', "&lt;") } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition() -> Value {
        let spec = json!({
            "type": "object",
            "required": ["version"],
            "properties": {
                "version": {"type": "string", "maxLength": 64, "description": "Release\nto run.",
                    "x-kubernetes-validations": [{"rule": "x", "message": "must be a|version."}]},
                "policy": {"type": "string", "enum": ["Retain", "Delete"], "default": "Retain", "description": "Data."},
                "services": {"type": "array", "maxItems": 6, "description": "Services.", "items": {
                    "type": "object", "required": ["name"],
                    "properties": {"name": {"type": "string", "description": "Name."}}}},
                "port": {"type": "integer", "minimum": 1.0, "maximum": 9.0, "default": 5, "description": "Port <n> or `<n>`."},
                "affinity": {"type": "object", "description": "Nodes.", "properties": {"inner": {"type": "string"}}},
            },
        });
        json!({"spec": {
            "group": "greencommerce.dev", "names": {"kind": "Store", "plural": "stores", "shortNames": ["gcs"]},
            "versions": [{"name": "v1alpha1", "schema": {"openAPIV3Schema": {
                "description": "One shop.", "properties": {"spec": spec, "status": {}}}}}],
        }})
    }

    #[test]
    fn each_field_has_a_row_with_type_default_and_rules() {
        let page = kind(&definition()).unwrap();
        for row in [
            "| `spec.version` | string, at most 64 characters | *required* | Release to run. Rule: must be a\\|version. |",
            "| `spec.policy` | `Retain`, `Delete` | `Retain` | Data. |",
            "| `spec.services[]` | list of object, at most 6 |  | Services. |",
            "| `spec.services[].name` | string | *required* | Name. |",
            "| `spec.port` | integer, 1 to 9 | `5` | Port &lt;n> or `<n>`. |",
        ] {
            assert!(page.contains(row), "{row}\nis not in\n{page}");
        }
        assert!(page.starts_with(
            "\n## Store\n\nOne shop.\n\n`apiVersion: greencommerce.dev/v1alpha1`, `kubectl get stores` or `gcs`."
        ));
    }

    #[test]
    fn what_kubernetes_describes_is_left_to_it() {
        let page = kind(&definition()).unwrap();
        assert!(page.contains("| `spec.affinity` | object |  | Nodes. |") && !page.contains("inner"), "{page}");
    }

    #[test]
    fn something_else_is_no_definition() {
        assert!(kind(&json!({"kind": "Pod"})).is_err());
    }
}
