//! Step 2: what a StoreService asks for, checked against what there is. Pure.

use std::collections::BTreeMap;

use api::{
    Autoscaling, ConfigMapMount, EnvVar, LocalReference, Reason, Resources, ServiceName, ServicePort, Store,
    StoreService, StoreServiceSpec, label,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::dereference::Seen;
use crate::{
    framework::{ReconcileError, Retry, labels, namespace, owner_reference, standard_labels},
    network::{Party, Place},
};

/// The key of a database Secret that holds the address.
pub(super) const DATABASE_KEY: &str = "uri";

/// A StoreService that can be built.
#[derive(Clone, Debug)]
pub(super) struct Validated {
    pub(super) name: String,
    pub(super) namespace: String,
    /// On every child.
    pub(super) labels: BTreeMap<String, String>,
    /// Selects the pods; it can never change.
    pub(super) selector: BTreeMap<String, String>,
    pub(super) owner: OwnerReference,
    pub(super) image: String,
    pub(super) pull_policy: &'static str,
    pub(super) pull_secrets: Vec<LocalReference>,
    pub(super) args: Vec<String>,
    pub(super) ports: Vec<ServicePort>,
    pub(super) scaling: Scaling,
    /// Seconds that a roll may go without progress.
    pub(super) progress_deadline: Option<i32>,
    pub(super) resources: Option<Resources>,
    pub(super) env: Vec<EnvVar>,
    pub(super) database: Option<DatabaseSecret>,
    pub(super) config_maps: Vec<ConfigMapMount>,
    pub(super) node_port: Option<i32>,
    pub(super) network: Network,
}

/// What its policy depends on beside the table of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) store: String,
    pub(super) party: Party,
    pub(super) exposed: bool,
    /// Name of the StoreDatabase it uses; its own store's if that is not known.
    pub(super) database_name: String,
    pub(super) database: Place,
    pub(super) kafka: Place,
    pub(super) cache: Place,
}

/// Who decides the number of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scaling {
    /// The resource.
    Fixed(i32),
    /// The autoscaler; the operator never touches the number.
    Auto(Autoscaling),
}

impl Scaling {
    /// Pods that must be available for the service to be ready.
    pub(super) fn least(&self) -> i32 {
        match self {
            Self::Fixed(replicas) => *replicas,
            Self::Auto(autoscaling) => autoscaling.min_replicas,
        }
    }

    /// Pods there can be.
    pub(super) fn most(&self) -> i32 {
        match self {
            Self::Fixed(replicas) => *replicas,
            Self::Auto(autoscaling) => autoscaling.max_replicas,
        }
    }
}

/// The Secret with the database's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DatabaseSecret {
    pub(super) name: String,
    pub(super) hash: String,
}

/// What a StoreService needs is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValidateError {
    #[error("the Secret {0} does not exist: the service starts as soon as it does")]
    SecretMissing(String),
    #[error("the Secret {name} has no key {DATABASE_KEY}: put the address of the database there")]
    SecretInvalid { name: String },
}

impl ReconcileError for ValidateError {
    fn reason(&self) -> Reason {
        match self {
            Self::SecretMissing(_) => Reason::SecretMissing,
            Self::SecretInvalid { .. } => Reason::SecretInvalid,
        }
    }

    fn retry(&self) -> Retry {
        // The Secret wakes us when it comes or changes.
        Retry::Backoff
    }
}

pub(super) fn validate(service: &StoreService, seen: &Seen) -> Result<Validated, ValidateError> {
    let (name, spec) = (service.name_any(), service.spec.clone());
    let network = network(&name, &spec, seen);
    let short = name.strip_prefix(&format!("{}-", spec.store)).unwrap_or(&name);
    let mut all = standard_labels(&spec.store, short, "service");
    all.insert(label::SERVICE.to_owned(), name.clone());
    Ok(Validated {
        namespace: namespace(service).to_owned(),
        labels: all,
        selector: labels([(label::SERVICE, &name)]),
        owner: owner_reference(service),
        image: spec.image,
        pull_policy: spec.pull_policy.as_str(),
        pull_secrets: spec.pull_secrets,
        args: spec.args,
        ports: spec.ports,
        scaling: match spec.autoscaling {
            Some(autoscaling) => Scaling::Auto(autoscaling),
            None => Scaling::Fixed(spec.replicas.unwrap_or(1)),
        },
        progress_deadline: spec.progress_deadline_seconds,
        resources: spec.resources,
        env: spec.env,
        database: spec.database.map(|database| secret(database.secret_ref.name, seen)).transpose()?,
        config_maps: spec.config_maps,
        network,
        node_port: spec.exposure.and_then(|exposure| exposure.node_port).map(|exposure| exposure.port),
        name,
    })
}

/// A service of the platform is known by its name, which nobody else can have in its store.
fn network(name: &str, spec: &StoreServiceSpec, seen: &Seen) -> Network {
    let short = name.strip_prefix(&spec.store).and_then(|rest| rest.strip_prefix('-'));
    let platform = ServiceName::ALL.into_iter().find(|service| short == Some(service.as_str()));
    let secret = seen.secret.as_ref();
    let place = |managed: fn(&Store) -> bool| match seen.store.as_deref() {
        Some(store) if managed(store) => Place::Here,
        // Its brokers tell clients of further addresses, and its address may stand in a Secret.
        Some(_) => Place::Elsewhere(None),
        None => Place::Nowhere,
    };
    Network {
        store: spec.store.clone(),
        party: platform.map_or(Party::Own, Party::Service),
        exposed: spec.exposure.as_ref().is_some_and(|exposure| exposure.internal.is_none()),
        database_name: secret.and_then(|secret| secret.database.clone()).unwrap_or_else(|| spec.store.clone()),
        database: secret.map_or(Place::Nowhere, |secret| secret.place),
        kafka: place(|store| store.spec.kafka.managed.is_some()),
        cache: place(|store| store.spec.cache.managed.is_some()),
    }
}

fn secret(name: String, seen: &Seen) -> Result<DatabaseSecret, ValidateError> {
    let Some(secret) = &seen.secret else { return Err(ValidateError::SecretMissing(name)) };
    if !secret.keys.contains(DATABASE_KEY) {
        return Err(ValidateError::SecretInvalid { name });
    }
    Ok(DatabaseSecret { name, hash: secret.hash.clone() })
}

#[cfg(test)]
mod tests {
    use super::{super::dereference::Secret, *};

    fn service(yaml: &str) -> StoreService {
        serde_yaml::from_str(&format!(
            "{{apiVersion: greencommerce.dev/v1alpha1, kind: StoreService, \
               metadata: {{name: green-catalog, namespace: shop, uid: '1'}}, spec: {yaml}}}"
        ))
        .unwrap()
    }

    fn seen(keys: &[&str]) -> Seen {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        Seen { secret: Some(Secret { keys, hash: "cafe".to_owned(), ..Secret::default() }), ..Seen::default() }
    }

    #[test]
    fn the_secret_of_the_database_must_exist_and_hold_the_address() {
        let service = service("{store: green, image: shop:1, database: {secretRef: {name: green-catalog-database}}}");
        let missing = validate(&service, &Seen::default()).unwrap_err();
        assert_eq!(missing.reason(), Reason::SecretMissing);
        let lacking = validate(&service, &seen(&["password"])).unwrap_err();
        assert_eq!(lacking.reason(), Reason::SecretInvalid);
        let validated = validate(&service, &seen(&["uri"])).unwrap();
        assert_eq!(validated.database.unwrap().hash, "cafe");
    }

    #[test]
    fn one_pod_runs_when_nothing_is_said_and_none_when_zero_is_said() {
        let scaling = |yaml: &str| validate(&service(yaml), &Seen::default()).unwrap().scaling;
        assert_eq!(scaling("{store: green, image: shop:1}"), Scaling::Fixed(1));
        assert_eq!(scaling("{store: green, image: shop:1, replicas: 0}"), Scaling::Fixed(0));
        let auto = scaling("{store: green, image: shop:1, autoscaling: {maxReplicas: 3}}");
        assert_eq!((auto.least(), auto.most()), (1, 3));
    }

    #[test]
    fn the_name_label_is_the_name_within_the_store() {
        let name = |yaml: &str| validate(&service(yaml), &Seen::default()).unwrap().labels[label::NAME].clone();
        assert_eq!(name("{store: green, image: shop:1}"), "catalog");
        assert_eq!(name("{store: blue, image: shop:1}"), "green-catalog");
    }
}
