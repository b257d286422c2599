//! What the servers with data have in common: one pod with one volume, near the store's other data.

use std::collections::BTreeMap;

use api::{ANNOTATION_STORAGE, ANNOTATION_STORE_UID, label};
use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{PersistentVolumeClaim, PodSpec, PodTemplateSpec, Service, ServicePort, ServiceSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::{DataServer, Validated, labels_of, network};
use crate::{
    framework::labels,
    network::Party,
    store::{plan::Plan, validate},
    workload::near,
};

/// How a server is called and found.
pub(super) struct Identity<'a> {
    /// The part, for example `kafka`.
    pub(super) part: &'a str,
    /// What it is to the table of connections.
    pub(super) party: Party,
    /// Its role, for example `broker`.
    pub(super) component: &'a str,
    /// Name of the StatefulSet, the claim and the Service for clients.
    pub(super) name: String,
    /// Name of the Service that gives the pod a name.
    pub(super) nodes: String,
    pub(super) port_name: &'a str,
    pub(super) port: i32,
}

/// The objects of a server whose pod runs `pod`; `annotations` of the pod change with what must restart it.
pub(super) fn server(
    of: &Validated,
    plan: &Plan,
    identity: &Identity<'_>,
    settings: &validate::DataServer,
    pod: PodSpec,
    annotations: Option<BTreeMap<String, String>>,
) -> DataServer {
    DataServer {
        volume: volume(of, identity, settings),
        storage: settings.claim.state.clone(),
        services: [service(of, identity), nodes(of, identity)],
        stateful_set: stateful_set(of, plan, identity, pod, annotations),
        policy: network::of_server(of, meta(of, identity, &identity.name), selector(of, identity), identity.party),
    }
}

fn meta(of: &Validated, identity: &Identity<'_>, name: &str) -> ObjectMeta {
    ObjectMeta {
        labels: Some(all_labels(of, identity)),
        ..super::meta(of, name.to_owned(), identity.part, identity.component)
    }
}

fn all_labels(of: &Validated, identity: &Identity<'_>) -> BTreeMap<String, String> {
    let mut all = labels_of(of, identity.part, identity.component);
    all.insert(label::TIER.to_owned(), "data".to_owned());
    all
}

/// Selects the pod; it can never change.
fn selector(of: &Validated, identity: &Identity<'_>) -> BTreeMap<String, String> {
    labels([(label::NAME, identity.part), (label::STORE, of.names.store())])
}

/// Nobody owns the claim: it outlives the store unless the store's finalizer deletes it.
fn volume(of: &Validated, identity: &Identity<'_>, settings: &validate::DataServer) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            annotations: Some(labels([
                (ANNOTATION_STORE_UID, of.owner.uid.as_str()),
                (ANNOTATION_STORAGE, &settings.claim.asked.to_string()),
            ])),
            owner_references: None,
            ..meta(of, identity, &identity.name)
        },
        spec: Some(settings.claim.spec()),
        status: None,
    }
}

fn service(of: &Validated, identity: &Identity<'_>) -> Service {
    Service {
        metadata: meta(of, identity, &identity.name),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(selector(of, identity)),
            ports: Some(vec![port(identity)]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn nodes(of: &Validated, identity: &Identity<'_>) -> Service {
    Service {
        metadata: meta(of, identity, &identity.nodes),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(selector(of, identity)),
            ports: Some(vec![port(identity)]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn port(identity: &Identity<'_>) -> ServicePort {
    ServicePort {
        name: Some(identity.port_name.to_owned()),
        port: identity.port,
        target_port: Some(IntOrString::String(identity.port_name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

fn stateful_set(
    of: &Validated,
    plan: &Plan,
    identity: &Identity<'_>,
    pod: PodSpec,
    annotations: Option<BTreeMap<String, String>>,
) -> StatefulSet {
    let tier = labels([(label::STORE, of.names.store()), (label::TIER, "data")]);
    StatefulSet {
        metadata: meta(of, identity, &identity.name),
        spec: StatefulSetSpec {
            replicas: Some(i32::from(!plan.data_sleeps)),
            revision_history_limit: Some(3),
            service_name: Some(identity.nodes.clone()),
            selector: LabelSelector { match_labels: Some(selector(of, identity)), ..LabelSelector::default() },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(all_labels(of, identity)),
                    annotations,
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    affinity: Some(near(tier)),
                    automount_service_account_token: Some(false),
                    enable_service_links: Some(false),
                    ..pod
                }),
            },
            ..StatefulSetSpec::default()
        },
        status: None,
    }
}
