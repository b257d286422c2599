//! Requests and answers without their types.
//!
//! What the client library does with a type is compiled anew for each, its decoders for every answer included: with twenty
//! kinds that was most of this program. So all kinds travel as JSON, and become what they are in one place each.

use kube::{
    Api, Client, Resource,
    core::{ApiResource, DynamicObject},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The objects of a kind in a namespace.
pub(crate) fn objects<K: Resource<DynamicType = ()>>(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<K>(&()))
}

/// The objects of a kind in all namespaces.
pub(super) fn all_objects<K: Resource<DynamicType = ()>>(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &ApiResource::erase::<K>(&()))
}

/// Reads an object as what it is. The error says which field does not fit.
pub(super) fn typed<K: DeserializeOwned>(object: &DynamicObject) -> Result<K, serde_json::Error> {
    serde_json::from_value(to_value(object))
}

/// An object as JSON.
pub(super) fn to_value<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).expect("Kubernetes objects have string keys and no failing serializer")
}
