//! `docs/operator.md` against the types: it has an example of every field and a paragraph on every reason and
//! every condition.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{ConditionType, Reason, Store, StoreDatabase, StoreService, StoreTopic, crds};

/// Fields that Kubernetes defines, an example need not have everything in them, and maps whose keys are the user's.
const OPEN: [&str; 8] = [
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "metrics",
    "behavior",
    "nodeSelector",
    "annotations",
    "labels",
];
const GUIDE: &str = include_str!("../../../docs/operator.md");
const VALUES: &str = include_str!("../../../charts/greencommerce/values.yaml");

/// The manifests in the guide.
fn examples() -> Vec<Value> {
    let blocks = GUIDE.split("```yaml\n").skip(1).filter_map(|block| block.split_once("```"));
    blocks.map(|(yaml, _)| serde_yaml::from_str(yaml).unwrap()).collect()
}

/// The paths of a value, `[]` for any entry of a list.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            found.insert(path.clone());
            if !OPEN.contains(&name.as_str()) {
                paths(value, &path, found);
            }
        }),
        Value::Array(list) => list.iter().for_each(|value| paths(value, &format!("{path}[]"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The paths below `spec` that an example sets.
fn shown(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    paths(&value["spec"], "spec", &mut found);
    found
}

/// The paths that a schema knows.
fn fields(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.insert(path.clone());
        if !OPEN.contains(&name.as_str()) {
            fields(property, &path, found);
            fields(&property["items"], &format!("{path}[]"), found);
        }
    }
}

/// The paths below `spec` that the schema of a kind knows.
fn known(crd: &CustomResourceDefinition) -> BTreeSet<String> {
    let crd = serde_json::to_value(crd).unwrap();
    let mut found = BTreeSet::new();
    fields(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec", &mut found);
    found
}

fn is_read_as<K: DeserializeOwned>(example: &Value) -> bool {
    serde_json::from_value::<K>(example.clone()).is_ok()
}

#[test]
fn every_example_of_the_guide_fits_its_kind() {
    for example in examples() {
        let kind = example["kind"].as_str().unwrap();
        let read = match kind {
            "Store" => is_read_as::<Store>(&example),
            "StoreService" => is_read_as::<StoreService>(&example),
            "StoreDatabase" => is_read_as::<StoreDatabase>(&example),
            "StoreTopic" => is_read_as::<StoreTopic>(&example),
            _ => false,
        };
        assert!(read, "{example}");
        let crd = crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let unknown: Vec<String> = shown(&example).difference(&known(&crd)).cloned().collect();
        assert_eq!(unknown, Vec::<String>::new(), "{kind}");
    }
}

#[test]
fn every_field_has_an_example_in_the_guide() {
    for crd in crds() {
        let kind = &crd.spec.names.kind;
        let examples = examples();
        let of_kind = examples.iter().filter(|example| example["kind"] == kind.as_str());
        let shown: BTreeSet<String> = of_kind.flat_map(shown).collect();
        let missing: Vec<String> = known(&crd).difference(&shown).cloned().collect();
        assert!(missing.is_empty(), "docs/operator.md shows no example of these fields of {kind}: {missing:?}");
    }
}

#[test]
fn every_reason_has_its_paragraph_and_every_paragraph_a_reason() {
    let (_, section) = GUIDE.split_once("\n## Reasons\n").unwrap();
    let paragraphs: Vec<(&str, &str)> =
        section.split("\n### ").skip(1).map(|part| part.split_once('\n').unwrap_or((part, ""))).collect();
    let names: BTreeSet<&str> = paragraphs.iter().map(|(name, _)| *name).collect();
    let reasons: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let missing: Vec<&&str> = reasons.difference(&names).collect();
    assert!(missing.is_empty(), "docs/operator.md has no paragraph on {missing:?}");
    let unknown: Vec<&&str> = names.difference(&reasons).collect();
    assert!(unknown.is_empty(), "docs/operator.md explains what is no reason: {unknown:?}");
    assert_eq!(paragraphs.len(), reasons.len(), "docs/operator.md explains a reason twice");
    for (name, text) in paragraphs {
        assert!(text.split_whitespace().count() >= 5, "docs/operator.md says too little about {name}");
    }
}

#[test]
fn every_condition_stands_in_the_guide_once() {
    let (_, section) = GUIDE.split_once("\n## What conditions say\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let mut listed: Vec<&str> = rows.map(|(name, _)| name).collect();
    listed.sort_unstable();
    let mut conditions: Vec<&str> = ConditionType::ALL.iter().map(|condition| condition.as_str()).collect();
    conditions.sort_unstable();
    assert_eq!(listed, conditions);
}

#[test]
fn every_value_of_the_chart_stands_in_the_guide() {
    let values: Value = serde_yaml::from_str(VALUES).unwrap();
    let mut named: Vec<String> = Vec::new();
    for (name, value) in values.as_object().unwrap() {
        match value.as_object() {
            // What is in it is Kubernetes' own, or free.
            Some(inner) if !inner.is_empty() && name != "resources" => {
                named.extend(inner.keys().map(|key| format!("{name}.{key}")));
            }
            _ => named.push(name.clone()),
        }
    }
    let missing: Vec<&String> = named.iter().filter(|name| !GUIDE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/operator.md does not explain these values of the chart: {missing:?}");
}
