//! How a service is found, who it is, and who may speak to it.

use api::{Exposure, ServicePort as Port};
use k8s_openapi::{
    api::{
        core::v1::{Service, ServiceAccount, ServicePort, ServiceSpec},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{PortName, Validated, meta};
use crate::network::{self, Scene};

/// An identity of its own, which may do nothing.
pub(super) fn service_account(of: &Validated) -> ServiceAccount {
    ServiceAccount { metadata: meta(of), automount_service_account_token: Some(false), ..ServiceAccount::default() }
}

/// Who may reach the pods, and whom they may reach.
pub(super) fn policy(of: &Validated) -> Option<NetworkPolicy> {
    let network = of.network.as_ref()?;
    let scene = Scene {
        store: &network.store,
        database_name: &network.database_name,
        database: network.database,
        kafka: network.kafka,
        cache: network.cache,
        ports: &of.ports,
        exposed: network.exposed,
        ..Scene::default()
    };
    let spec = network::policy(network.party, of.selector.clone(), &scene);
    Some(NetworkPolicy { metadata: meta(of), spec: Some(spec) })
}

/// The way to the pods, unless they serve nobody. Probes and metrics are asked of pods directly, so that a service
/// exposed on the nodes exposes nothing but its API.
pub(super) fn service(of: &Validated) -> Option<Service> {
    let ports: Vec<ServicePort> =
        of.ports.iter().filter(|port| port.name != PortName::Ops).map(|port| service_port(of, *port)).collect();
    (!ports.is_empty()).then(|| Service {
        metadata: meta(of),
        spec: Some(ServiceSpec {
            type_: Some(type_(&of.exposure).to_owned()),
            selector: Some(of.selector.clone()),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}

fn type_(exposure: &Exposure) -> &'static str {
    if exposure.load_balancer.is_some() {
        "LoadBalancer"
    } else if exposure.node_port.is_some() {
        "NodePort"
    } else {
        "ClusterIP"
    }
}

fn service_port(of: &Validated, port: Port) -> ServicePort {
    ServicePort {
        name: Some(port.name.as_str().to_owned()),
        port: port.port,
        target_port: Some(IntOrString::String(port.name.as_str().to_owned())),
        protocol: Some("TCP".to_owned()),
        node_port: of.exposure.node_port.as_ref().filter(|_| port.name == PortName::Http).map(|exposure| exposure.port),
        app_protocol: (port.name == PortName::Grpc).then(|| "kubernetes.io/h2c".to_owned()),
    }
}
