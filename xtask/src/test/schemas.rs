//! JSON Schemas for kubeconform: Kubernetes' own kinds from the description of its API that lies in the Go module the
//! local cluster is built from, our kinds from `crds/`, those of monitoring from a file of our own. Unknown fields are refused, as `kubectl` would with strict
//! validation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::chart::yaml_files;
use crate::{ui::Step, workspace};

/// The kinds of the Prometheus Operator, as far as the chart uses them.
const MONITORING: &str = include_str!("monitoring.yaml");

/// Writes one schema for each kind that stands in `manifests`.
pub(super) fn write(step: &Step, dir: &Path, manifests: &[PathBuf]) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let swagger = kubernetes_api(step)?;
    let own = own_kinds()?;
    for kind in kinds(manifests)? {
        // A kind without a schema is left out: kubeconform then fails and names it.
        if let Some(schema) = own.get(&kind).cloned().or_else(|| kind.kubernetes_schema(&swagger)) {
            fs::write(dir.join(kind.file_name()), serde_json::to_vec(&schema)?)?;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    /// Empty for the core group.
    group: String,
    version: String,
    name: String,
}

impl Kind {
    fn of(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), name: kind.to_owned() }
    }

    fn file_name(&self) -> String {
        let group = if self.group.is_empty() { &self.version } else { &self.group };
        format!("{group}_{}_{}.json", self.version, self.name.to_lowercase())
    }

    /// Its definition in the API description, with every definition it refers to.
    fn kubernetes_schema(&self, swagger: &Value) -> Option<Value> {
        let wanted = json!({"group": self.group, "version": self.version, "kind": self.name});
        let definitions = swagger["definitions"].as_object()?;
        let is_wanted = |definition: &Value| {
            definition["x-kubernetes-group-version-kind"].as_array().is_some_and(|all| all.contains(&wanted))
        };
        let (name, _) = definitions.iter().find(|(_, definition)| is_wanted(definition))?;
        let mut needed = BTreeMap::new();
        collect(name, definitions, &mut needed);
        Some(json!({"$ref": format!("#/definitions/{name}"), "definitions": needed}))
    }
}

fn kinds(manifests: &[PathBuf]) -> Result<BTreeSet<Kind>> {
    let mut found = BTreeSet::new();
    for path in manifests {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document = Value::deserialize(document).with_context(|| format!("{} is not YAML", path.display()))?;
            if let (Some(api_version), Some(kind)) = (document["apiVersion"].as_str(), document["kind"].as_str()) {
                found.insert(Kind::of(api_version, kind));
            }
        }
    }
    Ok(found)
}

/// The description that Kubernetes' own source carries.
fn kubernetes_api(step: &Step) -> Result<Value> {
    let module = step
        .command("go")
        .args(["mod", "download", "-json", "k8s.io/kubernetes"])
        .directory(&workspace::root().join("cluster/tools/kubernetes"))
        .output()?;
    let module: Value = serde_json::from_str(&module).context("go printed no JSON")?;
    let dir = module["Dir"].as_str().context("go named no folder of k8s.io/kubernetes")?;
    let path = Path::new(dir).join("api/openapi-spec/swagger.json");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// Our own kinds, from the generated definitions, and those of monitoring.
fn own_kinds() -> Result<BTreeMap<Kind, Value>> {
    let mut kinds = BTreeMap::new();
    for path in yaml_files(&workspace::root().join("crds"))? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let crd: Value = serde_yaml::from_str(&text).with_context(|| format!("{} is not YAML", path.display()))?;
        kinds.extend(kinds_of_definition(&crd));
    }
    for definition in serde_yaml::Deserializer::from_str(MONITORING) {
        let definition = Value::deserialize(definition).context("monitoring.yaml is not YAML")?;
        kinds.extend(kinds_of_definition(&definition));
    }
    Ok(kinds)
}

fn kinds_of_definition(crd: &Value) -> Vec<(Kind, Value)> {
    let spec = &crd["spec"];
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let kind = |version: &Value| Kind {
        group: spec["group"].as_str().unwrap_or_default().to_owned(),
        version: version["name"].as_str().unwrap_or_default().to_owned(),
        name: spec["names"]["kind"].as_str().unwrap_or_default().to_owned(),
    };
    let schema = |version: &Value| {
        let mut schema = version["schema"]["openAPIV3Schema"].clone();
        for (name, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
            schema["properties"][name] = json!({"type": kind});
        }
        strict(&mut schema);
        schema
    };
    versions.iter().map(|version| (kind(version), schema(version))).collect()
}

/// Takes `name` and all it refers to, made strict.
fn collect(name: &str, definitions: &Map<String, Value>, needed: &mut BTreeMap<String, Value>) {
    if needed.contains_key(name) {
        return;
    }
    let mut definition = definitions.get(name).cloned().unwrap_or(Value::Null);
    let mut references = Vec::new();
    find_references(&definition, &mut references);
    strict(&mut definition);
    if name.ends_with(".api.resource.Quantity") {
        definition = json!({"type": ["string", "number"]});
    }
    needed.insert(name.to_owned(), definition);
    for reference in references {
        collect(&reference, definitions, needed);
    }
}

fn find_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) =
                fields.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/definitions/"))
            {
                found.push(name.to_owned());
            }
            fields.values().for_each(|field| find_references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| find_references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Turns what the API description says in its own way into plain JSON Schema, and closes every object that lists its
/// fields.
fn strict(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if fields.get("format").is_some_and(|format| format == "int-or-string")
        || fields.get("x-kubernetes-int-or-string").is_some_and(|set| set == true)
    {
        fields.retain(|name, _| name == "description");
        fields.insert("type".to_owned(), json!(["string", "integer"]));
        return;
    }
    let open = fields.contains_key("additionalProperties")
        || fields.get("x-kubernetes-preserve-unknown-fields").is_some_and(|set| set == true);
    if fields.contains_key("properties") && !open {
        fields.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if fields.get("nullable").is_some_and(|set| set == true)
        && let Some(kind) = fields.get("type").cloned()
    {
        fields.insert("type".to_owned(), json!([kind, "null"]));
    }
    for name in ["items", "additionalProperties"] {
        fields.get_mut(name).into_iter().for_each(strict);
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(strict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_kubeconform_looks_for_them() {
        assert_eq!(Kind::of("v1", "Service").file_name(), "v1_v1_service.json");
        assert_eq!(
            Kind::of("rbac.authorization.k8s.io/v1", "ClusterRole").file_name(),
            "rbac.authorization.k8s.io_v1_clusterrole.json"
        );
    }

    #[test]
    fn a_kind_comes_with_everything_it_refers_to_and_is_closed() {
        let swagger = json!({"definitions": {
            "a.Pod": {
                "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
                "type": "object", "properties": {"spec": {"$ref": "#/definitions/a.Spec"}},
            },
            "a.Spec": {"type": "object", "properties": {"inner": {"$ref": "#/definitions/a.Spec"}, "port": {
                "type": "string", "format": "int-or-string"}}},
            "a.Other": {"type": "object"},
        }});
        let schema = Kind::of("v1", "Pod").kubernetes_schema(&swagger).unwrap();
        assert_eq!(schema["$ref"], "#/definitions/a.Pod");
        assert_eq!(schema["definitions"]["a.Spec"]["additionalProperties"], false);
        assert_eq!(schema["definitions"]["a.Spec"]["properties"]["port"]["type"], json!(["string", "integer"]));
        assert!(schema["definitions"]["a.Other"].is_null());
        assert_eq!(Kind::of("v1", "Node").kubernetes_schema(&swagger), None);
    }

    #[test]
    fn a_definition_of_ours_is_closed_but_for_maps_and_metadata() {
        let crd = json!({"spec": {"group": "greencommerce.dev", "names": {"kind": "Store"}, "versions": [{
            "name": "v1alpha1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {
                "type": "object", "properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "note": {"type": "string", "nullable": true}}}}}}}]}});
        let kinds = kinds_of_definition(&crd);
        let (kind, schema) = &kinds[0];
        assert_eq!(kind.file_name(), "greencommerce.dev_v1alpha1_store.json");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["metadata"], json!({"type": "object"}));
        let spec = &schema["properties"]["spec"];
        assert_eq!(spec["additionalProperties"], false);
        assert_eq!(spec["properties"]["labels"]["additionalProperties"], json!({"type": "string"}));
        assert_eq!(spec["properties"]["note"]["type"], json!(["string", "null"]));
    }
}
