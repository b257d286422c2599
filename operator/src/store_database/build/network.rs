//! Who may reach the server of a database.

use k8s_openapi::{api::networking::v1::NetworkPolicy, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::labels;
use crate::{
    network::{Party, Scene, policy},
    store_database::validate::Validated,
};

/// The services and migrations of its store, other services that use one of its databases, and the operator.
pub(super) fn policy_of(of: &Validated) -> NetworkPolicy {
    let scene = Scene {
        store: &of.store,
        database_name: &of.name,
        operator: &of.operator,
        users: &of.users,
        ..Scene::default()
    };
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(of.names.server()),
            namespace: Some(of.namespace.clone()),
            labels: Some(labels::server(of)),
            owner_references: Some(vec![of.owner.clone()]),
            ..ObjectMeta::default()
        },
        spec: Some(policy(Party::Database, labels::server_selector(of), &scene)),
    }
}
