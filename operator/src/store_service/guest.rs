//! What a service that a user added to a store asks of it, and how far that is. Pure, but for the look into the cache.

use std::sync::Arc;

use api::{
    ANNOTATION_CONFIG, ConditionType, EnvVar, Reason, ServiceTopic, Status as _, Store, StoreDatabase, StoreService,
    StoreTopic, label,
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::ResourceExt;

use crate::{
    events::Brokers,
    framework::{Cache, config_hash, namespace},
    guests::{Given, ROUTES_FILE, Route, RouteTable, database_of, gateway_of, give, is_of_users, of_store, routes_of},
};

/// What there is of what the service asks of its store; nothing if it asks nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    store: Option<Arc<Store>>,
    database: Option<Arc<StoreDatabase>>,
    given: Given,
    /// The routes that the gateway is told.
    routes: RouteTable,
    /// Whether every pod of the gateway was started with them.
    routes_served: bool,
    /// Topics that were made for the service.
    pub(super) topics: Vec<Arc<StoreTopic>>,
}

impl Host {
    pub(super) fn look(cache: &Cache, service: &StoreService) -> Self {
        let (space, store) = (namespace(service), service.spec.store.as_str());
        if !is_of_users(service) {
            return Self::default();
        }
        let topics = cache.labelled(space, label::SERVICE, &service.name_any());
        if !service.spec.is_guest() {
            return Self { topics, ..Self::default() };
        }
        let gateway: Option<Arc<Deployment>> = cache.get(space, &gateway_of(store));
        let file: Option<Arc<ConfigMap>> = cache.get(space, &format!("{store}-gateway-routes"));
        let text = file.as_ref().and_then(|file| file.data.as_ref()?.get(ROUTES_FILE));
        let served = file.as_ref().zip(gateway).is_some_and(|(file, gateway)| started_with(&gateway, file));
        Self {
            store: cache.get(space, store),
            database: cache.get(space, store),
            given: give(&of_store(cache, space, store)),
            routes: text.and_then(|text| serde_yaml::from_str(text).ok()).unwrap_or_default(),
            routes_served: served,
            topics,
        }
    }

    fn has_database(&self, name: &str) -> bool {
        let status = self.database.as_ref().and_then(|database| database.status.as_ref());
        status.is_some_and(|status| status.databases.iter().any(|database| database.name == name && database.ready))
    }
}

/// Whether all pods of a service were started with what its only file holds now, and serve.
fn started_with(service: &Deployment, file: &ConfigMap) -> bool {
    let annotations = service.spec.template.metadata.as_ref().and_then(|meta| meta.annotations.as_ref());
    let told = annotations.and_then(|annotations| annotations.get(ANNOTATION_CONFIG));
    let status = service.status.clone().unwrap_or_default();
    told == config_hash([file]).as_ref()
        && status.observed_generation >= service.metadata.generation
        && status.updated_replicas == status.replicas
        && status.available_replicas > Some(0)
}

/// What the service has of its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guest {
    store: String,
    routes: Vec<Route>,
    pub(super) brokers: Brokers,
    pub(super) topics: Vec<ServiceTopic>,
    /// Whether its store sleeps or goes to sleep, and the service with it.
    pub(super) suspend: bool,
}

impl Guest {
    /// Name of the StoreTopic of a topic.
    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}-{}", self.store, name.replace('.', "-"))
    }

    /// The variables that tell the container where its topics are.
    pub(super) fn variables(&self) -> Vec<EnvVar> {
        if self.topics.is_empty() { Vec::new() } else { self.brokers.variables() }
    }
}

/// Why a service cannot have what it asks of its store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GuestError {
    #[error("the Store {0} does not exist: the service starts as soon as it does")]
    StoreMissing(String),
    #[error("{what} belongs to StoreService {holder}: choose another, or take it away from that service")]
    Taken { what: String, holder: String },
    #[error("the database {database} is not ready yet: StoreDatabase {store} makes it")]
    NoDatabase { database: String, store: String },
}

impl GuestError {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::StoreMissing(_) => Reason::StoreMissing,
            Self::Taken { .. } => Reason::TakenByAnother,
            Self::NoDatabase { .. } => Reason::WaitingForData,
        }
    }
}

/// Nothing, if the service asks nothing of its store; what a store made for itself is no guest.
pub(super) fn validate(service: &StoreService, host: &Host) -> Result<Option<Guest>, GuestError> {
    if !is_of_users(service) || !service.spec.is_guest() {
        return Ok(None);
    }
    let name = service.spec.store.clone();
    let store = host.store.as_ref().ok_or_else(|| GuestError::StoreMissing(name.clone()))?;
    if let Some((what, holder)) = host.given.refused_to(service) {
        return Err(GuestError::Taken { what, holder });
    }
    let needed = database_of(service).filter(|_| !store.spec.suspend);
    if let Some(database) = needed.filter(|database| !host.has_database(database)) {
        return Err(GuestError::NoDatabase { database: database.to_owned(), store: name });
    }
    Ok(Some(Guest {
        routes: routes_of(service),
        brokers: match &store.spec.kafka.external {
            Some(kafka) => Brokers::external(kafka),
            None => Brokers::own(namespace(service), &name),
        },
        topics: service.spec.topics.clone(),
        suspend: store.spec.suspend,
        store: name,
    }))
}

/// What of it is still missing once the pods are ready.
pub(super) fn missing(guest: Option<&Guest>, host: &Host) -> Option<(Reason, String)> {
    let guest = guest?;
    if let Some(route) = guest.routes.iter().find(|route| !host.routes.routes.contains(route)) {
        let message = format!(
            "the pods are ready; ConfigMap {}-gateway-routes does not lead {} to them yet: the store needs its gateway for it",
            guest.store, route.prefix
        );
        return Some((Reason::RoutePending, message));
    }
    if let (Some(route), false) = (guest.routes.first(), host.routes_served) {
        let message = format!(
            "the pods are ready; those of {} are being replaced by such as know that {} leads to them",
            gateway_of(&guest.store),
            route.prefix
        );
        return Some((Reason::RoutePending, message));
    }
    guest.topics.iter().find_map(|topic| {
        let name = guest.topic(&topic.name);
        let live = host.topics.iter().find(|live| live.name_any() == name);
        let ready = live.and_then(|live| {
            let ready = live.status.as_ref()?.condition(ConditionType::Ready.as_str())?;
            (ready.observed_generation == live.metadata.generation).then_some(ready)
        });
        match ready {
            Some(ready) if ready.status == "True" => None,
            Some(ready) => {
                let reason = Reason::parse(&ready.reason).unwrap_or(Reason::ChildNotReady);
                Some((reason, format!("StoreTopic {name}: {}", ready.message)))
            }
            None => Some((Reason::ChildPending, format!("StoreTopic {name} has not been looked at yet"))),
        }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service() -> StoreService {
        serde_yaml::from_str(include_str!("build/fixtures/guest.yaml")).unwrap()
    }

    fn store() -> Store {
        serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
            "metadata": {"name": "green", "namespace": "shop"}, "spec": {"version": "1.0.0"},
        }))
        .unwrap()
    }

    fn database(ready: bool) -> StoreDatabase {
        serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "green"}, "spec": {},
            "status": {"databases": [{"name": "parcels", "ready": ready, "secretName": "green-parcels-database"}]},
        }))
        .unwrap()
    }

    fn topic(status: &str) -> Value {
        json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
            "metadata": {"name": "green-parcel-events", "generation": 1},
            "spec": {"bootstrapServers": "kafka:9092", "topicName": "parcel.events"},
            "status": {"conditions": [{
                "type": "Ready", "status": status, "reason": "BrokerUnreachable", "message": "no broker answers",
                "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        })
    }

    /// What the guest of the fixtures finds in a store that has given it everything.
    pub(in crate::store_service) fn complete() -> Host {
        Host {
            store: Some(Arc::new(store())),
            database: Some(Arc::new(database(true))),
            given: give(&[Arc::new(service())]),
            routes: RouteTable { routes: routes_of(&service()) },
            routes_served: true,
            topics: vec![Arc::new(serde_json::from_value(topic("True")).unwrap())],
        }
    }

    /// What a guest of this store finds once it has been given all it asks for.
    pub(in crate::store_service) fn host_of(store: &Store, guest: &StoreService) -> Host {
        let database = database_of(guest).map(|name| {
            let databases = json!([{"name": name, "ready": true, "secretName": ""}]);
            let mut ready = database(true);
            ready.status = serde_json::from_value(json!({"databases": databases})).unwrap();
            Arc::new(ready)
        });
        Host {
            store: Some(Arc::new(store.clone())),
            database,
            given: give(&[Arc::new(guest.clone())]),
            ..Host::default()
        }
    }

    /// The guest of the fixtures in a store that sleeps.
    pub(in crate::store_service) fn asleep() -> Guest {
        let mut store = store();
        store.spec.suspend = true;
        let host = Host { store: Some(Arc::new(store)), database: Some(Arc::new(database(false))), ..complete() };
        validate(&service(), &host).unwrap().unwrap()
    }

    #[test]
    fn a_guest_that_has_all_it_asks_for_waits_for_nothing() {
        let guest = validate(&service(), &complete()).unwrap();
        assert_eq!(missing(guest.as_ref(), &complete()), None);
    }

    #[test]
    fn a_guest_waits_for_its_store_then_for_its_database() {
        let nothing = validate(&service(), &Host::default()).unwrap_err();
        assert_eq!(nothing.reason(), Reason::StoreMissing);
        let host = Host { database: Some(Arc::new(database(false))), ..complete() };
        let waiting = validate(&service(), &host).unwrap_err();
        assert_eq!(waiting.to_string(), "the database parcels is not ready yet: StoreDatabase green makes it");
        assert!(!waiting.reason().is_failure());
    }

    #[test]
    fn a_guest_sleeps_with_its_store_whose_databases_sleep_too() {
        assert!(asleep().suspend);
    }

    #[test]
    fn a_guest_is_told_who_has_what_it_wants() {
        let mut other = service();
        other.metadata.name = Some("first".to_owned());
        other.metadata.creation_timestamp = serde_json::from_value(json!("2025-01-01T00:00:00Z")).unwrap();
        let mut late = service();
        late.metadata.creation_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let host = Host { given: give(&[Arc::new(late.clone()), Arc::new(other)]), ..complete() };
        let refused = validate(&late, &host).unwrap_err();
        assert_eq!(refused.reason(), Reason::TakenByAnother);
        assert!(refused.to_string().contains("the route /api/parcels belongs to StoreService first"), "{refused}");
    }

    #[test]
    fn a_guest_is_not_ready_before_the_gateway_and_the_brokers_know_of_it() {
        let guest = validate(&service(), &complete()).unwrap();
        let host = Host { routes: RouteTable::default(), ..complete() };
        assert_eq!(missing(guest.as_ref(), &host).unwrap().0, Reason::RoutePending);
        let host = Host { routes_served: false, ..complete() };
        let (reason, message) = missing(guest.as_ref(), &host).unwrap();
        assert_eq!(reason, Reason::RoutePending);
        assert!(message.contains("those of green-gateway are being replaced"), "{message}");
        let host = Host { topics: vec![Arc::new(serde_json::from_value(topic("False")).unwrap())], ..complete() };
        let (reason, message) = missing(guest.as_ref(), &host).unwrap();
        assert_eq!(reason, Reason::BrokerUnreachable);
        assert_eq!(message, "StoreTopic green-parcel-events: no broker answers");
        assert_eq!(missing(guest.as_ref(), &Host { topics: vec![], ..complete() }).unwrap().0, Reason::ChildPending);
    }

    #[test]
    fn the_gateway_serves_routes_once_every_pod_was_started_with_them() {
        let file = |routes: &str| serde_json::from_value(json!({"data": {ROUTES_FILE: routes}})).unwrap();
        let (old, new): (ConfigMap, ConfigMap) = (file("routes: []"), file("routes: [{}]"));
        let gateway = |told: &ConfigMap, observed: i64, updated: i32| -> Deployment {
            let told = json!({ANNOTATION_CONFIG: config_hash([told])});
            let template = json!({"metadata": {"annotations": told}});
            let status = json!({
                "observedGeneration": observed, "replicas": 2, "updatedReplicas": updated, "availableReplicas": 2,
            });
            let spec = json!({"selector": {}, "template": template});
            serde_json::from_value(json!({"metadata": {"generation": 4}, "spec": spec, "status": status})).unwrap()
        };
        assert!(started_with(&gateway(&new, 4, 2), &new));
        assert!(!started_with(&gateway(&old, 4, 2), &new), "it was told of others");
        assert!(!started_with(&gateway(&new, 3, 2), &new), "its controller has not seen it");
        assert!(!started_with(&gateway(&new, 4, 1), &new), "an old pod is left");
    }
}
