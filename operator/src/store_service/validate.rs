//! Step 2: what a StoreService asks for, checked against what there is. Pure.

use std::collections::BTreeMap;

use api::{
    Autoscaling, ConfigMapMount, EnvVar, Exposure, LocalReference, PodMonitoring, PodOverrides, Reason, Resources,
    ServiceName, ServicePort, Store, StoreService, StoreServiceSpec, label,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::{
    dereference::{Secret, Seen},
    guest::{self, Guest, GuestError},
};
use crate::{
    framework::{ReconcileError, Retry, content_hash, labels, namespace, owner_reference, standard_labels},
    guests::is_of_users,
    network::{Party, Place},
};

/// The key of a database Secret that holds the address.
pub(super) const DATABASE_KEY: &str = "uri";
/// The variable that tells the container the address.
pub(super) const DATABASE_URL: &str = "DATABASE_URL";
/// The key of a database Secret that holds the certificates with which the server's is verified.
pub(super) const DATABASE_CA_KEY: &str = "ca.crt";
/// The variable that tells the container these certificates.
pub(super) const DATABASE_CA: &str = "DATABASE_CA";

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
    /// The Secret with the database's address.
    pub(super) database: Option<String>,
    /// Whether that Secret also has certificates for the container.
    pub(super) database_ca: bool,
    /// Changes with the content of that Secret.
    pub(super) database_hash: Option<String>,
    /// Changes with the content of the Secrets that variables are read from; none if there are none.
    pub(super) variables_hash: Option<String>,
    /// Changes with the content of the files that the operator wrote for it; none if there are none.
    pub(super) config_hash: Option<String>,
    /// What the service has of its store.
    pub(super) guest: Option<Guest>,
    pub(super) config_maps: Vec<ConfigMapMount>,
    pub(super) pod: PodOverrides,
    /// How the figures of the pods are to be found.
    pub(super) monitoring: Monitoring,
    pub(super) host: Option<String>,
    pub(super) exposure: Exposure,
    /// Not known while the store that it is a part of is not: the policy then stays as it is.
    pub(super) network: Option<Network>,
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

/// Whether Prometheus is told of the pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Monitoring {
    /// Nobody asked for it.
    Unwanted,
    /// The cluster does not know the kind by which that is done.
    Unknown,
    Wanted(PodMonitoring),
}

/// Who decides the number of pods.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scaling {
    /// The resource.
    Fixed(i32),
    /// The autoscaler; the operator never touches the number.
    Auto(Box<Autoscaling>),
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

/// What a StoreService needs is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValidateError {
    #[error("the Secret {0} does not exist: the service starts as soon as it does")]
    SecretMissing(String),
    #[error("the Secret {name} has no key {key}: put the value of {variable} there")]
    SecretInvalid { name: String, key: String, variable: String },
    #[error("the ConfigMap {0} does not exist: the service starts as soon as it does")]
    ConfigMapMissing(String),
    #[error(transparent)]
    Guest(#[from] GuestError),
}

impl ReconcileError for ValidateError {
    fn reason(&self) -> Reason {
        match self {
            Self::SecretMissing(_) => Reason::SecretMissing,
            Self::SecretInvalid { .. } => Reason::SecretInvalid,
            Self::ConfigMapMissing(_) => Reason::ConfigMapMissing,
            Self::Guest(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // The Secret wakes us when it comes or changes.
            Self::SecretMissing(_) | Self::SecretInvalid { .. } => Retry::Backoff,
            // Nothing tells of a ConfigMap that users make.
            Self::ConfigMapMissing(_) => Retry::Steady,
            Self::Guest(_) => Retry::OnChange,
        }
    }
}

pub(super) fn validate(service: &StoreService, seen: &Seen) -> Result<Validated, ValidateError> {
    let (name, spec) = (service.name_any(), service.spec.clone());
    if let Some(missing) = &seen.missing_config_map {
        return Err(ValidateError::ConfigMapMissing(missing.clone()));
    }
    let guest = guest::validate(service, &seen.host)?;
    let orphaned = seen.store.is_none() && !is_of_users(service);
    let network = (!orphaned).then(|| network(&name, &spec, seen));
    let (database_hash, variables_hash) = (database_hash(&spec, seen)?, variables_hash(&spec, seen)?);
    let (database, database_ca) = (spec.database_secret(), has_database_ca(&spec, seen));
    let events = guest.iter().flat_map(Guest::variables);
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
            _ if guest.as_ref().is_some_and(|guest| guest.suspend) => Scaling::Fixed(0),
            Some(autoscaling) => Scaling::Auto(Box::new(autoscaling)),
            None => Scaling::Fixed(spec.replicas.unwrap_or(1)),
        },
        progress_deadline: spec.progress_deadline_seconds,
        resources: spec.resources,
        env: spec.env.into_iter().chain(events).collect(),
        database,
        database_ca,
        database_hash,
        variables_hash,
        config_hash: seen.config_hash.clone(),
        config_maps: spec.config_maps,
        network,
        pod: spec.pod.unwrap_or_default(),
        monitoring: match spec.pod_monitor {
            None => Monitoring::Unwanted,
            Some(_) if !seen.monitoring => Monitoring::Unknown,
            Some(wish) => Monitoring::Wanted(wish),
        },
        guest,
        host: spec.host,
        exposure: spec.exposure.unwrap_or_default(),
        name,
    })
}

/// A service of the platform is known by its name, which nobody else can have in its store.
fn network(name: &str, spec: &StoreServiceSpec, seen: &Seen) -> Network {
    let short = name.strip_prefix(&spec.store).and_then(|rest| rest.strip_prefix('-'));
    let platform = ServiceName::ALL.into_iter().find(|service| short == Some(service.as_str()));
    let secret = spec.database_secret().and_then(|name| seen.secrets.get(&name));
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

/// Whether the Secret of the database has certificates for the container. In one that no StoreDatabase made, an entry of that
/// name may be for something else.
fn has_database_ca(spec: &StoreServiceSpec, seen: &Seen) -> bool {
    let secret = spec.database_secret().and_then(|name| seen.secrets.get(&name));
    let has_them = secret.is_some_and(|secret| secret.database.is_some() && secret.keys.contains(DATABASE_CA_KEY));
    has_them && !spec.env.iter().any(|variable| variable.name == DATABASE_CA)
}

/// What changes with the Secret of the database, which must be there.
fn database_hash(spec: &StoreServiceSpec, seen: &Seen) -> Result<Option<String>, ValidateError> {
    let secret = |name: String| Ok(secret(seen, DATABASE_URL, &name, DATABASE_KEY)?.hash.clone());
    spec.database_secret().map(secret).transpose()
}

/// What changes with the Secrets that variables are read from, each of which must be there.
fn variables_hash(spec: &StoreServiceSpec, seen: &Seen) -> Result<Option<String>, ValidateError> {
    let mut hashes = BTreeMap::new();
    for variable in &spec.env {
        let Some(source) = &variable.value_from else { continue };
        let (name, key) = (source.secret_key_ref.name.as_str(), &source.secret_key_ref.key);
        hashes.insert(name, secret(seen, &variable.name, name, key)?.hash.as_str());
    }
    let parts = hashes.into_iter().flat_map(|(name, hash)| [name.as_bytes(), hash.as_bytes()]);
    let parts: Vec<&[u8]> = parts.collect();
    Ok((!parts.is_empty()).then(|| content_hash(parts)))
}

/// A Secret that is there with the key that a variable needs.
fn secret<'a>(seen: &'a Seen, variable: &str, name: &str, key: &str) -> Result<&'a Secret, ValidateError> {
    let secret = seen.secrets.get(name).ok_or_else(|| ValidateError::SecretMissing(name.to_owned()))?;
    if !secret.keys.contains(key) {
        let [name, key, variable] = [name, key, variable].map(str::to_owned);
        return Err(ValidateError::SecretInvalid { name, key, variable });
    }
    Ok(secret)
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

    fn secret(keys: &[&str], hash: &str) -> Secret {
        Secret { keys: keys.iter().map(|&key| key.to_owned()).collect(), hash: hash.to_owned(), ..Secret::default() }
    }

    fn seen(keys: &[&str]) -> Seen {
        let secrets = [("green-catalog-database".to_owned(), secret(keys, "cafe"))];
        Seen { secrets: secrets.into(), ..Seen::default() }
    }

    #[test]
    fn the_secret_of_the_database_must_exist_and_hold_the_address() {
        let service = service("{store: green, image: shop:1, database: {secretRef: {name: green-catalog-database}}}");
        let missing = validate(&service, &Seen::default()).unwrap_err();
        assert_eq!(missing.reason(), Reason::SecretMissing);
        let lacking = validate(&service, &seen(&["password"])).unwrap_err();
        assert_eq!(lacking.reason(), Reason::SecretInvalid);
        let validated = validate(&service, &seen(&["uri"])).unwrap();
        assert_eq!(validated.database_hash.as_deref(), Some("cafe"));
    }

    #[test]
    fn every_secret_that_a_variable_names_is_needed_and_counts() {
        let service = service(
            "{store: green, image: shop:1, database: {secretRef: {name: green-catalog-database}}, \
              env: [{name: REDIS_URL, valueFrom: {secretKeyRef: {name: redis, key: url}}}]}",
        );
        let mut seen = seen(&["uri"]);
        assert_eq!(validate(&service, &seen).unwrap_err(), ValidateError::SecretMissing("redis".to_owned()));
        seen.secrets.insert("redis".to_owned(), secret(&["uri"], "1"));
        let lacking = validate(&service, &seen).unwrap_err().to_string();
        assert_eq!(lacking, "the Secret redis has no key url: put the value of REDIS_URL there");
        let mut hash = |content: &str| {
            seen.secrets.insert("redis".to_owned(), secret(&["url"], content));
            validate(&service, &seen).unwrap().variables_hash.unwrap()
        };
        assert_ne!(hash("1"), hash("2"));
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

    /// A store that does not fit its schema is known to nobody, and its services go on.
    #[test]
    fn a_part_of_a_store_that_is_not_known_keeps_its_policy() {
        let mut part = service("{store: green, image: shop:1}");
        let network = |service: &StoreService, seen: &Seen| validate(service, seen).unwrap().network;
        assert_eq!(network(&part, &Seen::default()).map(|network| network.kafka), Some(Place::Nowhere));
        let store = "{apiVersion: greencommerce.dev/v1alpha1, kind: Store, \
                      metadata: {name: green, namespace: shop, uid: '2'}, spec: {version: 1.0.0}}";
        let store: Store = serde_yaml::from_str(store).unwrap();
        part.metadata.owner_references = Some(vec![owner_reference(&store)]);
        assert_eq!(network(&part, &Seen::default()), None);
        let seen = Seen { store: Some(std::sync::Arc::new(store)), ..Seen::default() };
        assert_eq!(network(&part, &seen).map(|network| network.kafka), Some(Place::Here));
    }
}
