//! Step 1: everything a StoreService depends on, and what there is of its children.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Reason, StoreService, label};
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{self, Pod, Service},
    networking::v1::Ingress,
    policy::v1::PodDisruptionBudget,
};
use kube::{Api, ResourceExt};

use super::guest::Host;
use crate::framework::{Context, ReconcileError, Retry, content_hash, namespace};

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The Secrets that the service names and that exist, by name.
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) deployment: Option<Arc<Deployment>>,
    pub(super) service: Option<Arc<Service>>,
    pub(super) ingress: Option<Arc<Ingress>>,
    pub(super) autoscaler: Option<Arc<HorizontalPodAutoscaler>>,
    pub(super) disruption_budget: Option<Arc<PodDisruptionBudget>>,
    pub(super) pods: Vec<Arc<Pod>>,
    /// What there is of what the service asks of its store.
    pub(super) host: Host,
}

/// What may be known of a Secret outside this step: not its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) keys: BTreeSet<String>,
    /// Changes with the content.
    pub(super) hash: String,
    /// Whether a change of it wakes us.
    pub(super) watched: bool,
}

/// A read failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the Secret {name}")]
pub(crate) struct DereferenceError {
    name: String,
    #[source]
    source: Box<kube::Error>,
}

impl ReconcileError for DereferenceError {
    fn reason(&self) -> Reason {
        Reason::ReadFailed
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Reads from the cache; only a Secret that no watch covers is asked for.
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
        deployment: cache.get(space, &name),
        service: cache.get(space, &name),
        ingress: cache.get(space, &name),
        autoscaler: cache.get(space, &name),
        disruption_budget: cache.get(space, &name),
        pods: cache.labelled(space, label::SERVICE, &name),
        host: Host::look(cache, service),
    })
}

async fn secret(context: &Context, space: &str, name: &str) -> Result<Option<Secret>, DereferenceError> {
    if let Some(secret) = context.cache.get::<v1::Secret>(space, name) {
        return Ok(Some(summary(&secret, true)));
    }
    let api: Api<v1::Secret> = Api::namespaced(context.client.clone(), space);
    let found = api
        .get_opt(name)
        .await
        .map_err(|source| DereferenceError { name: name.to_owned(), source: Box::new(source) })?;
    Ok(found.map(|secret| summary(&secret, false)))
}

fn summary(secret: &v1::Secret, watched: bool) -> Secret {
    let data = secret.data.iter().flatten();
    let hash = content_hash(data.clone().flat_map(|(key, value)| [key.as_bytes(), value.0.as_slice()]));
    Secret { keys: data.map(|(key, _)| key.clone()).collect(), hash, watched }
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
        let one = summary(&secret("opensesame"), true);
        assert_ne!(one, summary(&secret("opensesame2"), true));
        assert!(!format!("{one:?}").contains("opensesame"));
    }
}
