//! How a service is reached from outside the cluster.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a service is reached from outside the cluster: exactly one of the fields is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.ingress), has(self.loadBalancer), has(self.nodePort), has(self.internal)].exists_one(set, set)")
        .message("set exactly one of ingress, loadBalancer, nodePort and internal"),
)]
pub struct Exposure {
    /// Through the cluster's ingress controller, which routes by the host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressExposure>,
    /// On an address of its own, which a controller of the cluster gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancerExposure>,
    /// On a port of every node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_port: Option<NodePortExposure>,
    /// Only inside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<InternalExposure>,
}

impl Default for Exposure {
    fn default() -> Self {
        Self { ingress: None, load_balancer: None, node_port: None, internal: Some(InternalExposure {}) }
    }
}

/// Exposure by an Ingress. Annotations that its controller wants may be set on the Ingress by hand: they stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressExposure {
    /// Class of the Ingress; the cluster's default class if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// Serves HTTPS, with a certificate for `host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<IngressTls>,
}

/// HTTPS at the ingress controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressTls {
    /// Name of the Secret with the certificate (keys `tls.crt` and `tls.key`).
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
        .message("must be the name of an object: lower case letters, digits, '-' and '.'"))]
    pub secret_name: String,
}

/// Exposure on an address of its own, at the port of the API inside the cluster. It has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadBalancerExposure {}

/// Exposure on a port of every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodePortExposure {
    /// The port, within the range that Kubernetes reserves for this.
    #[schemars(range(min = 30000, max = 32767))]
    pub port: i32,
}

/// No exposure outside the cluster. It has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InternalExposure {}
