//! Who may reach the store's own servers and its migrations, and that nobody may do anything else.

use std::collections::BTreeMap;

use api::label;
use k8s_openapi::{api::networking::v1::NetworkPolicy, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{Validated, meta};
use crate::{
    framework::labels,
    network::{Party, Place, Scene, closed, policy},
    store::validate::{Cache, Kafka},
};

/// The policies that belong to no server and no service: every pod of the store is closed, and migrations reach the
/// database.
pub(super) fn policies(of: &Validated) -> [NetworkPolicy; 2] {
    let every_pod = labels([(label::STORE, of.names.store())]);
    let migrations = labels([(label::STORE, of.names.store()), (label::COMPONENT, "migration")]);
    [
        NetworkPolicy { metadata: meta(of, of.names.closed(), "network", "network"), spec: Some(closed(every_pod)) },
        NetworkPolicy {
            metadata: meta(of, of.names.migrations(), "migrate", "network"),
            spec: Some(policy(Party::Migration, migrations, &scene(of))),
        },
    ]
}

/// The policy of one of the store's servers, whose pods `selector` selects.
pub(super) fn of_server(
    of: &Validated,
    metadata: ObjectMeta,
    selector: BTreeMap<String, String>,
    party: Party,
) -> NetworkPolicy {
    NetworkPolicy { metadata, spec: Some(policy(party, selector, &scene(of))) }
}

fn scene(of: &Validated) -> Scene<'_> {
    let external = of.database.external.as_ref().map(|database| u16::try_from(database.port).ok());
    Scene {
        store: of.names.store(),
        database_name: of.names.store(),
        operator: &of.operator,
        database: external.map_or(Place::Here, Place::Elsewhere),
        kafka: if matches!(of.kafka, Kafka::Managed(_)) { Place::Here } else { Place::Elsewhere(None) },
        cache: if matches!(of.cache, Cache::Managed(_)) { Place::Here } else { Place::Elsewhere(None) },
        ..Scene::default()
    }
}
