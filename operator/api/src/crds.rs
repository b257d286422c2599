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
