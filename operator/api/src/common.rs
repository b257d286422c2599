//! Building blocks that more than one kind uses.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Quantity;

/// What happens to data (volumes, databases, topics, and the secrets needed to use them) when its owner is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The data stays. An object of the same name takes it up again; a `Store`, and a `StoreDatabase` on a
    /// server of somebody else's, only where `adoptRetainedData` asks for it.
    #[default]
    Retain,
    /// The data is deleted with its owner. This cannot be undone.
    Delete,
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At every start of a container.
    Always,
    /// When the node does not have the image.
    #[default]
    IfNotPresent,
    /// Never: the image has to be on the node.
    Never,
}

impl ImagePullPolicy {
    /// The name Kubernetes gives the policy.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Names an object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct LocalReference {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
        .message("must be the name of an object: lower case letters, digits, '-' and '.'"))]
    pub name: String,
}

/// Compute resources of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.requests) || !has(self.limits) || !has(self.requests.cpu) || !has(self.limits.cpu) \
        || !isQuantity(self.requests.cpu) || !isQuantity(self.limits.cpu) || quantity(self.requests.cpu).compareTo(quantity(self.limits.cpu)) <= 0")
        .message("the CPU request must not exceed the CPU limit"),
    validation = Rule::new("!has(self.requests) || !has(self.limits) || !has(self.requests.memory) || !has(self.limits.memory) \
        || !isQuantity(self.requests.memory) || !isQuantity(self.limits.memory) || quantity(self.requests.memory).compareTo(quantity(self.limits.memory)) <= 0")
        .message("the memory request must not exceed the memory limit"),
)]
pub struct Resources {
    /// What the scheduler sets aside for the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceAmounts>,
    /// What the container may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceAmounts>,
}

/// Amounts of CPU and memory. An amount that is left out keeps the operator's default, unless that would contradict
/// the amounts that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceAmounts {
    /// CPU time, for example `250m` for a quarter of a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory, for example `256Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// A persistent volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of the volume. As long as there is none it can be any; later it can grow, where the storage class allows it,
    /// but never shrink.
    #[serde(default = "default_storage_size")]
    pub size: Quantity,
    /// Storage class of the volume; the cluster's default class if left out. A volume stays in its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: default_storage_size(), class_name: None }
    }
}

fn default_storage_size() -> Quantity {
    Quantity::new("5Gi")
}

/// Scales a service by the CPU time its pods use, and by other metrics where such are named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.minReplicas <= self.maxReplicas")
        .message("minReplicas must not exceed maxReplicas"),
)]
pub struct Autoscaling {
    /// Pods that always run.
    #[serde(default = "default_min_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: i32,
    /// Pods that run at most.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: i32,
    /// CPU time that the pods should use on average, in percent of their CPU request.
    #[serde(rename = "targetCPUUtilizationPercentage", default = "default_cpu_target")]
    #[schemars(range(min = 1, max = 1000))]
    pub target_cpu_utilization_percentage: i32,
    /// Further metrics, as in a `HorizontalPodAutoscaler`: the metric that asks for most pods decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub metrics: Vec<MetricSpec>,
    /// How fast the number of pods may change, as in a `HorizontalPodAutoscaler`; Kubernetes' defaults if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
}

fn default_min_replicas() -> i32 {
    1
}

fn default_cpu_target() -> i32 {
    80
}

/// An environment variable of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.valueFrom) || self.value == ''").message("set value or valueFrom, not both"))]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z_][A-Za-z0-9_]*$')")
        .message("must consist of letters, digits and '_', and must not start with a digit"))]
    pub name: String,
    /// Value of the variable.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub value: String,
    /// Where the value comes from, instead of `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvVarSource>,
}

impl EnvVar {
    /// A variable with a value.
    #[must_use]
    pub fn of(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into(), value_from: None }
    }

    /// A variable whose value is kept in a Secret.
    #[must_use]
    pub fn secret(name: &str, secret: &str, key: &str) -> Self {
        let reference = SecretKeyReference { name: secret.to_owned(), key: key.to_owned() };
        let value_from = Some(EnvVarSource { secret_key_ref: reference });
        Self { name: name.to_owned(), value: String::new(), value_from }
    }
}

/// Where the value of an environment variable comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVarSource {
    /// An entry of a Secret. When the Secret's content changes, the pods are replaced.
    pub secret_key_ref: SecretKeyReference,
}

/// Names an entry of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key of the entry.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}
