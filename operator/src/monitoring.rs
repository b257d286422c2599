//! `PodMonitor`: a kind of the Prometheus Operator, as far as this operator writes it
//! (<https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PodMonitor>).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Where the figures of pods are.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "PodMonitor",
    plural = "podmonitors",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodMonitorSpec {
    /// The pods.
    #[serde(default)]
    pub(crate) selector: LabelSelector,
    /// Where each of them is asked.
    #[serde(default)]
    pub(crate) pod_metrics_endpoints: Vec<PodMetricsEndpoint>,
    /// Labels of the pod that its figures get too.
    #[serde(default)]
    pub(crate) pod_target_labels: Vec<String>,
}

/// Where a pod is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PodMetricsEndpoint {
    /// Name of the port.
    #[serde(default)]
    pub(crate) port: String,
    /// Path of the request.
    #[serde(default)]
    pub(crate) path: String,
    /// How often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<String>,
}
