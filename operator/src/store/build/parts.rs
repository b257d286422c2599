//! The parts of a store that policies are about, for the test that looks at all of them together.

use std::collections::BTreeMap;

use api::{Store, StoreDatabase, StoreService};
use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::{
    super::{dereference::Seen, migration::Migration, plan::plan, upgrade::course, validate::validate},
    build,
};

/// A store taken apart.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) database: StoreDatabase,
    pub(crate) services: Vec<StoreService>,
    pub(crate) policies: Vec<NetworkPolicy>,
    /// Labels of the pods that the store makes itself, by name.
    pub(crate) pods: Vec<(String, BTreeMap<String, String>)>,
}

/// What the store of this manifest consists of.
pub(crate) fn network_of(manifest: &str) -> Parts {
    let store: Store = serde_yaml::from_str(manifest).unwrap();
    let seen = Seen { operator: "greencommerce-system".to_owned(), ..Seen::default() };
    let validated = validate(&store, &seen).unwrap();
    let mut plan = plan(&validated, &seen, course(&validated, None));
    plan.migrations.values_mut().for_each(|migration| *migration = Migration::Running(None));
    let image = &validated.image.reference;
    plan.images = validated.services.keys().map(|service| (*service, image.clone())).collect();
    let children = build(&validated, &plan);
    let labels = |template: &k8s_openapi::api::core::v1::PodTemplateSpec| {
        template.metadata.clone().unwrap().labels.unwrap_or_default()
    };
    let kafka = children.kafka.as_ref().map(|kafka| ("kafka", &kafka.server));
    let servers: Vec<_> = kafka.into_iter().chain(children.cache.as_ref().map(|cache| ("cache", cache))).collect();
    let pods = servers.iter().map(|(name, server)| ((*name).to_owned(), labels(&server.stateful_set.spec.template)));
    let migration = labels(&children.migrations[0].spec.as_ref().unwrap().template);
    Parts {
        database: children.database.clone(),
        services: children.services.clone(),
        policies: children.policies.iter().chain(servers.iter().map(|(_, server)| &server.policy)).cloned().collect(),
        pods: pods.chain([("migration".to_owned(), migration)]).collect(),
        store,
    }
}
