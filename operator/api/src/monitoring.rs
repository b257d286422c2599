//! How the figures of pods are found.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A `PodMonitor` for each service, by which the Prometheus Operator (<https://prometheus-operator.dev>) finds what its pods
/// tell at `/metrics`. Nothing is made where the cluster does not know that kind, until it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodMonitoring {
    /// How often the figures are taken, for example `30s`; as often as your Prometheus does if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')")
        .message("must be a duration from 1s to 24h, for example 30s"))]
    pub interval: Option<String>,
    /// Labels by which your Prometheus selects what it is to look at. Those that the operator sets itself keep its values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub labels: BTreeMap<String, String>,
}
