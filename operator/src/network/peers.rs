//! How the ends of a connection are told by their labels.

use api::{ServiceName, ServicePort, label};
use k8s_openapi::{
    api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
        util::intstr::IntOrString,
    },
};

use super::{Door, Party, tcp};
use crate::framework::labels;

/// Label of the operator's pod, as the chart writes it.
const OPERATOR: (&str, &str) = (label::NAME, "greencommerce-operator");

/// Label that every namespace has from Kubernetes.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Where a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is none, or it is not wanted.
    #[default]
    Nowhere,
    /// Among the pods of the store.
    Here,
    /// Wherever its address leads, at that port; at any where only the server itself knows them all.
    Elsewhere(Option<u16>),
}

/// What a policy depends on beside the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene<'a> {
    pub(crate) store: &'a str,
    /// Name of the StoreDatabase, where the database is here.
    pub(crate) database_name: &'a str,
    /// Namespace of the operator.
    pub(crate) operator: &'a str,
    pub(crate) database: Place,
    pub(crate) kafka: Place,
    pub(crate) cache: Place,
    /// Ports of the service whose policy it is, where a user brought it.
    pub(crate) ports: &'a [ServicePort],
    /// Whether its API is for everybody.
    pub(crate) exposed: bool,
    /// StoreServices that use the database.
    pub(crate) users: &'a [String],
}

impl Scene<'_> {
    /// The ports behind a door of the pods whose policy it is; `None` where they have no such door.
    pub(super) fn own_ports(&self, party: Party, door: Door) -> Option<Vec<NetworkPolicyPort>> {
        let port = if party == Party::Own {
            self.ports.iter().find(|port| port.name.as_str() == door.name())?.port
        } else {
            door.port()
        };
        Some(vec![tcp(Some(IntOrString::Int(port)))])
    }

    /// Whom a rule about this door means by these parties.
    pub(super) fn peers(&self, parties: &[Party], door: Door) -> Vec<NetworkPolicyPeer> {
        let service = |party: &Party| match party {
            Party::Service(service) => Some(self.name_of(*service)),
            _ => None,
        };
        let services: Vec<String> = parties.iter().filter_map(service).collect();
        let named = (!services.is_empty()).then(|| here(one_of(services)));
        let others = parties.iter().filter_map(|party| self.peer(*party, door));
        named.into_iter().chain(others).collect()
    }

    fn peer(&self, party: Party, door: Door) -> Option<NetworkPolicyPeer> {
        match party {
            Party::Service(_) | Party::Anyone => None,
            // Only those that have the database's address.
            Party::Own if door == Door::Postgres => {
                let platform: Vec<String> = ServiceName::ALL.map(|service| self.name_of(service)).to_vec();
                let users: Vec<String> = self.users.iter().filter(|user| !platform.contains(user)).cloned().collect();
                (!users.is_empty()).then(|| here(one_of(users)))
            }
            Party::Own => Some(here(LabelSelector {
                match_expressions: Some(vec![LabelSelectorRequirement {
                    key: label::SERVICE.to_owned(),
                    operator: "NotIn".to_owned(),
                    values: Some(ServiceName::ALL.map(|service| self.name_of(service)).to_vec()),
                }]),
                ..selector([(label::STORE, self.store), (label::COMPONENT, "service")])
            })),
            Party::Migration => Some(here(selector([(label::STORE, self.store), (label::COMPONENT, "migration")]))),
            Party::Database => Some(here(selector([(label::DATABASE, self.database_name), (label::NAME, "postgres")]))),
            Party::Kafka => Some(here(selector([(label::STORE, self.store), (label::NAME, "kafka")]))),
            Party::Cache => Some(here(selector([(label::STORE, self.store), (label::NAME, "cache")]))),
            Party::Operator => Some(NetworkPolicyPeer {
                namespace_selector: Some(selector([(NAMESPACE_NAME, self.operator)])),
                pod_selector: Some(selector([OPERATOR])),
                ip_block: None,
            }),
        }
    }

    fn name_of(&self, service: ServiceName) -> String {
        format!("{}-{}", self.store, service.as_str())
    }
}

fn here(pods: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(pods), ..NetworkPolicyPeer::default() }
}

fn one_of(services: Vec<String>) -> LabelSelector {
    LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: label::SERVICE.to_owned(),
            operator: "In".to_owned(),
            values: Some(services),
        }]),
        ..LabelSelector::default()
    }
}

pub(super) fn selector<const N: usize>(pairs: [(&str, &str); N]) -> LabelSelector {
    LabelSelector { match_labels: Some(labels(pairs)), ..LabelSelector::default() }
}
