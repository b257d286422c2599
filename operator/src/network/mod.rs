//! Who may speak to whom in a store, as network policies. Pure.
//!
//! [`table`] says it once. Each pod of a store is selected by the policy of what it is, and that policy lets in and out
//! exactly what the table has of it: what one side may send, the other may receive.

#[cfg(test)]
mod graph;
mod peers;
pub(crate) mod table;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

pub(crate) use self::{
    peers::{Place, Scene},
    table::{Door, Party},
};

/// The policy of the pods that `selector` selects and that are `party`.
pub(crate) fn policy(party: Party, selector: BTreeMap<String, String>, scene: &Scene<'_>) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        // Empty rather than absent, so that what somebody adds differs from what is wanted.
        ingress: Some(ingress(party, scene)),
        egress: Some(egress(party, scene)),
    }
}

/// The policy that lets nothing in and nothing out: what the others do not allow stays forbidden.
pub(crate) fn closed(selector: BTreeMap<String, String>) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        ingress: Some(Vec::new()),
        egress: Some(Vec::new()),
    }
}

/// A rule for each door that somebody may knock at.
fn ingress(party: Party, scene: &Scene<'_>) -> Vec<NetworkPolicyIngressRule> {
    let mut guests: BTreeMap<Door, Vec<Party>> = BTreeMap::new();
    for pair in table::pairs().into_iter().filter(|pair| pair.to == party) {
        guests.entry(pair.door).or_default().push(pair.from);
    }
    let rule = |(door, from): (Door, Vec<Party>)| {
        let ports = scene.own_ports(party, door)?;
        let anyone = from.contains(&Party::Anyone) || (door == Door::Http && scene.exposed);
        let peers = scene.peers(&from, door);
        (anyone || !peers.is_empty())
            .then(|| NetworkPolicyIngressRule { ports: Some(ports), from: (!anyone).then_some(peers) })
    };
    guests.into_iter().filter_map(rule).collect()
}

/// A rule for each door that it may knock at, and the name server before all, which says where they are.
fn egress(party: Party, scene: &Scene<'_>) -> Vec<NetworkPolicyEgressRule> {
    let mut hosts: BTreeMap<Door, Vec<Party>> = BTreeMap::new();
    for pair in table::pairs().into_iter().filter(|pair| pair.from == party && pair.to != Party::Own) {
        hosts.entry(pair.door).or_default().push(pair.to);
    }
    let mut rules: Vec<NetworkPolicyEgressRule> =
        hosts.into_iter().filter_map(|(door, to)| to_hosts(door, &to, scene)).collect();
    rules.extend(table::pairs().iter().filter(|pair| pair.from == party && pair.to == Party::Own).map(|pair| {
        // Each has the numbers its author likes: the name says which is meant.
        let port = IntOrString::String(pair.door.name().to_owned());
        NetworkPolicyEgressRule { ports: Some(vec![tcp(Some(port))]), to: Some(scene.peers(&[Party::Own], pair.door)) }
    }));
    if rules.is_empty() { rules } else { name_servers().into_iter().chain(rules).collect() }
}

fn to_hosts(door: Door, to: &[Party], scene: &Scene<'_>) -> Option<NetworkPolicyEgressRule> {
    let place = match door {
        Door::Postgres => &scene.database,
        Door::Kafka => &scene.kafka,
        Door::Redis => &scene.cache,
        Door::Http | Door::Grpc | Door::Ops => &Place::Here,
    };
    match place {
        Place::Nowhere => None,
        Place::Here => {
            let ports = vec![tcp(Some(IntOrString::Int(door.port())))];
            Some(NetworkPolicyEgressRule { ports: Some(ports), to: Some(scene.peers(to, door)) })
        }
        Place::Elsewhere(port) => {
            let ports = vec![tcp(port.map(|port| IntOrString::Int(i32::from(port))))];
            Some(NetworkPolicyEgressRule { ports: Some(ports), to: None })
        }
    }
}

/// Where names are looked up: at port 53 of whatever is the name server, which may be no pod at all; at 5353, where
/// that of some distributions listens; and at any port of the pods that bear Kubernetes' own label, as policies see the port behind the
/// Service.
fn name_servers() -> [NetworkPolicyEgressRule; 2] {
    let both = |port: Option<i32>| ["UDP", "TCP"].map(|protocol| at(protocol, port.map(IntOrString::Int)));
    let known = [53, 5353].into_iter().flat_map(|port| both(Some(port)));
    let pods = NetworkPolicyPeer {
        namespace_selector: Some(peers::selector([("kubernetes.io/metadata.name", "kube-system")])),
        pod_selector: Some(peers::selector([("k8s-app", "kube-dns")])),
        ip_block: None,
    };
    [
        NetworkPolicyEgressRule { ports: Some(known.collect()), to: None },
        NetworkPolicyEgressRule { ports: Some(both(None).to_vec()), to: Some(vec![pods]) },
    ]
}

fn tcp(port: Option<IntOrString>) -> NetworkPolicyPort {
    at("TCP", port)
}

fn at(protocol: &str, port: Option<IntOrString>) -> NetworkPolicyPort {
    NetworkPolicyPort { port, protocol: Some(protocol.to_owned()), end_port: None }
}
