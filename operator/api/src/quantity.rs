//! Kubernetes resource quantities as users write them.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::api::resource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An amount such as `500m`, `1` or `5Gi`, in the notation of Kubernetes
/// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).
///
/// The API server checks the notation, so the text is kept as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(String);

impl Quantity {
    /// Wraps a text that is known to be a quantity.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Quantity> for resource::Quantity {
    fn from(quantity: &Quantity) -> Self {
        Self(quantity.0.clone())
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [{
                "rule": "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
                "message": "must be a quantity greater than zero, for example 500m, 1 or 5Gi",
            }],
        })
    }
}
