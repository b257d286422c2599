//! Step 1: everything a StoreService depends on, and what there is of its children.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{MANAGED_BY, Reason, Store, StoreDatabase, StoreService, label};
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{self, Pod, Service},
    networking::v1::Ingress,
    policy::v1::PodDisruptionBudget,
};
use kube::{Api, ResourceExt};

use super::{guest::Host, validate::DATABASE_KEY};
use crate::{
    framework::{Context, ReconcileError, Retry, config_hash, namespace, secret_hash},
    monitoring::PodMonitor,
    network::Place,
};

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The Secrets that the service names and that exist, by name.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// The first ConfigMap that the service names and that does not exist.
    pub(super) missing_config_map: Option<String>,
    /// Changes with the content of those that the operator wrote; none if there are none. Nothing tells of others.
    pub(super) config_hash: Option<String>,
    pub(super) deployment: Option<Arc<Deployment>>,
    pub(super) service: Option<Arc<Service>>,
    pub(super) ingress: Option<Arc<Ingress>>,
    pub(super) autoscaler: Option<Arc<HorizontalPodAutoscaler>>,
    pub(super) disruption_budget: Option<Arc<PodDisruptionBudget>>,
    pub(super) pod_monitor: Option<Arc<PodMonitor>>,
    /// Whether the cluster knows what a `PodMonitor` is.
    pub(super) monitoring: bool,
    pub(super) pods: Vec<Arc<Pod>>,
    /// The store it belongs to.
    pub(super) store: Option<Arc<Store>>,
    /// What there is of what the service asks of its store.
    pub(super) host: Host,
}

/// What may be known of a Secret outside this step: not its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) keys: BTreeSet<String>,
    /// Changes with the content.
    pub(super) hash: String,
    /// The StoreDatabase that made it, if one did.
    pub(super) database: Option<String>,
    /// Where the database is.
    pub(super) place: Place,
}

/// A read failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {object}")]
pub(crate) struct DereferenceError {
    object: String,
    #[source]
    source: Box<kube::Error>,
}

impl DereferenceError {
    fn of(kind: &str, name: &str) -> impl FnOnce(kube::Error) -> Self {
        let object = format!("the {kind} {name}");
        move |source| Self { object, source: Box::new(source) }
    }
}

impl ReconcileError for DereferenceError {
    fn reason(&self) -> Reason {
        Reason::ReadFailed
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Reads from the cache; only Secrets and `ConfigMaps` that users made are asked for.
pub(super) async fn dereference(context: &Context, service: &StoreService) -> Result<Seen, DereferenceError> {
    let (space, name) = (namespace(service), service.name_any());
    let cache = &context.cache;
    let mut secrets = BTreeMap::new();
    for name in service.spec.secrets() {
        if let Some(secret) = secret(context, space, &name).await? {
            secrets.insert(name, secret);
        }
    }
    Ok(Seen {
        secrets,
        missing_config_map: missing_config_map(context, service).await?,
        config_hash: written_config(context, service),
        deployment: cache.get(space, &name),
        service: cache.get(space, &name),
        ingress: cache.get(space, &name),
        autoscaler: cache.get(space, &name),
        disruption_budget: cache.get(space, &name),
        pod_monitor: cache.get(space, &name),
        monitoring: cache.monitoring.is_there(),
        pods: cache.labelled(space, label::SERVICE, &name),
        store: cache.get(space, &service.spec.store),
        host: Host::look(cache, service),
    })
}

async fn secret(context: &Context, space: &str, name: &str) -> Result<Option<Secret>, DereferenceError> {
    if let Some(secret) = context.cache.get::<v1::Secret>(space, name) {
        return Ok(Some(located(context, &secret, summary(&secret))));
    }
    let api: Api<v1::Secret> = Api::namespaced(context.client.clone(), space);
    let found = api.get_opt(name).await.map_err(DereferenceError::of("Secret", name))?;
    Ok(found.map(|secret| located(context, &secret, summary(&secret))))
}

async fn missing_config_map(context: &Context, service: &StoreService) -> Result<Option<String>, DereferenceError> {
    let space = namespace(service);
    let api: Api<v1::ConfigMap> = Api::namespaced(context.client.clone(), space);
    let unknown = |name: &&str| context.cache.get::<v1::ConfigMap>(space, name).is_none();
    for name in service.spec.config_maps.iter().map(|mount| mount.name.as_str()).filter(unknown) {
        let found = api.get_metadata_opt(name).await.map_err(DereferenceError::of("ConfigMap", name))?;
        // One of ours comes to the cache in a moment, and pods are not started without its hash.
        if found.is_none_or(|found| found.labels().get(label::MANAGED_BY).is_some_and(|by| by == MANAGED_BY)) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

fn written_config(context: &Context, service: &StoreService) -> Option<String> {
    let names = service.spec.config_maps.iter().map(|mount| mount.name.as_str());
    let written = names.filter_map(|name| context.cache.get::<v1::ConfigMap>(namespace(service), name));
    let written: Vec<Arc<v1::ConfigMap>> = written.collect();
    config_hash(written.iter().map(|file| &**file))
}

/// A server that the operator runs is one of the namespace's pods; any other is wherever its address leads.
fn located(context: &Context, secret: &v1::Secret, summary: Secret) -> Secret {
    let maker = summary.database.as_deref();
    let maker = maker.and_then(|name| context.cache.get::<StoreDatabase>(namespace(secret), name));
    let managed = maker.is_some_and(|database| database.spec.managed.is_some());
    Secret { place: if managed { Place::Here } else { summary.place }, ..summary }
}

fn summary(secret: &v1::Secret) -> Secret {
    Secret {
        keys: secret.data.iter().flatten().map(|(key, _)| key.clone()).collect(),
        hash: secret_hash(secret),
        database: secret.labels().get(label::DATABASE).cloned(),
        place: Place::Elsewhere(port(secret)),
    }
}

/// The port in the database's address; PostgreSQL's own where it names none.
fn port(secret: &v1::Secret) -> Option<u16> {
    let uri = secret.data.as_ref()?.get(DATABASE_KEY)?;
    let (_, rest) = std::str::from_utf8(&uri.0).ok()?.split_once("://")?;
    let host = rest.split(['/', '?']).next()?.rsplit('@').next()?;
    match host.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.parse().ok(),
        _ => Some(5432),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn a_summary_changes_with_the_content_and_does_not_hold_it() {
        let secret = |password: &str| v1::Secret {
            data: Some([("password".to_owned(), ByteString(password.as_bytes().to_vec()))].into()),
            ..v1::Secret::default()
        };
        let one = summary(&secret("opensesame"));
        assert_ne!(one, summary(&secret("opensesame2")));
        assert!(!format!("{one:?}").contains("opensesame"));
    }

    #[test]
    fn the_port_of_a_database_is_read_from_its_address() {
        let port = |uri: &str| {
            let data = [("uri".to_owned(), ByteString(uri.as_bytes().to_vec()))].into();
            port(&v1::Secret { data: Some(data), ..v1::Secret::default() })
        };
        assert_eq!(port("postgres://a:b@db.example:6432/a"), Some(6432));
        assert_eq!(port("postgres://a:b@db.example/a?sslmode=require"), Some(5432));
        assert_eq!(port("postgres://a:b@[fd00::1]:6432/a"), Some(6432));
        assert_eq!(port("postgres://a:b@[fd00::1]/a"), Some(5432));
        assert_eq!(port("nonsense"), None);
    }
}
