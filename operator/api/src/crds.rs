//! The definitions to install.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{Store, StoreDatabase, StoreService, StoreTopic};

/// Every custom resource definition of the group, in the order they should be installed.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [Store::crd(), StoreService::crd(), StoreDatabase::crd(), StoreTopic::crd()].into_iter().map(without_null).collect()
}

/// Optional fields are absent or have a value: the API server then drops a `null`, and `has()` in a rule means "is set".
fn without_null(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut value = serde_json::to_value(crd).expect("a definition has string keys and no failing serializer");
    drop_nullable(&mut value);
    serde_json::from_value(value).expect("a definition without an optional marker is a definition")
}

fn drop_nullable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("nullable").is_some_and(Value::is_boolean) {
                map.remove("nullable");
            }
            map.values_mut().for_each(drop_nullable);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nullable),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `look` with every property of a schema and its path.
    fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                let path = format!("{path}.{name}");
                look(&path, property);
                walk(&path, property, look);
            }
        }
        if let Some(items) = schema.get("items") {
            walk(&format!("{path}[]"), items, look);
        }
    }

    /// Fields whose schema is Kubernetes' own.
    const THEIRS: [&str; 5] = [
        ".pod.affinity",
        ".tolerations",
        ".topologySpreadConstraints",
        ".autoscaling.metrics",
        ".autoscaling.behavior",
    ];

    fn offenders(offends: impl Fn(&str, &Value) -> bool) -> Vec<String> {
        let mut found = Vec::new();
        for crd in crds() {
            let crd = serde_json::to_value(crd).unwrap();
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            walk(crd["spec"]["names"]["kind"].as_str().unwrap(), schema, &mut |path, property| {
                if offends(path, property) && !THEIRS.iter().any(|theirs| path.contains(theirs)) {
                    found.push(path.to_owned());
                }
            });
        }
        found
    }

    #[test]
    fn every_field_is_explained() {
        assert_eq!(offenders(|_, property| property.get("description").is_none()), Vec::<String>::new());
    }

    #[test]
    fn no_field_is_a_float_or_may_be_null() {
        let bad = |_: &str, property: &Value| property["type"] == "number" || property.get("nullable").is_some();
        assert_eq!(offenders(bad), Vec::<String>::new());
    }

    #[test]
    fn lists_of_objects_are_merged_by_a_key_and_a_history_is_of_one_piece() {
        let bad = |path: &str, property: &Value| {
            let how = if path.ends_with(".status.history") { "atomic" } else { "map" };
            property["items"]["type"] == "object" && property["x-kubernetes-list-type"] != how
        };
        assert_eq!(offenders(bad), Vec::<String>::new());
    }

    #[test]
    fn what_users_write_is_bounded() {
        let bad = |path: &str, property: &Value| {
            let bounded = match property["type"].as_str() {
                Some("string") => property.get("maxLength").is_some() || property.get("enum").is_some(),
                Some("array") => property.get("maxItems").is_some(),
                Some("integer") => property.get("maximum").is_some(),
                _ => true,
            };
            let bounded =
                bounded && (property.get("additionalProperties").is_none() || property.get("maxProperties").is_some());
            path.contains(".spec.") && !bounded
        };
        assert_eq!(offenders(bad), Vec::<String>::new());
    }

    #[test]
    fn every_rule_says_what_to_do() {
        fn rules(schema: &Value) -> Vec<Value> {
            match schema {
                Value::Object(map) => {
                    let own = map.get("x-kubernetes-validations").and_then(Value::as_array).cloned();
                    own.into_iter().flatten().chain(map.values().flat_map(rules)).collect()
                }
                Value::Array(list) => list.iter().flat_map(rules).collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
            }
        }
        let all: Vec<Value> = crds().iter().flat_map(|crd| rules(&serde_json::to_value(crd).unwrap())).collect();
        assert!(all.len() > 30, "{}", all.len());
        assert!(all.iter().all(|rule| rule["message"].as_str().is_some_and(|message| message.len() > 15)), "{all:?}");
    }

    #[test]
    fn every_kind_can_be_listed_with_the_others() {
        for crd in crds() {
            assert_eq!(crd.spec.names.categories, Some(vec!["greencommerce".to_owned()]));
            assert_eq!(crd.spec.names.short_names.map(|names| names.len()), Some(1));
            assert_eq!(crd.spec.group, crate::GROUP);
            assert_eq!(crd.spec.versions[0].name, crate::VERSION);
        }
    }
}
