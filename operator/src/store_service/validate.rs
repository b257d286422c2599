//! Step 2: what a StoreService asks for, checked against what there is. Pure.

use std::{collections::BTreeMap, time::Duration};

use api::{
    Autoscaling, ConfigMapMount, EnvVar, Exposure, LocalReference, PodOverrides, Reason, Resources, ServicePort,
    StoreService, StoreServiceSpec, label,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::{
    dereference::Seen,
    guest::{self, Guest, GuestError},
};
use crate::framework::{ReconcileError, Retry, content_hash, labels, namespace, owner_reference, standard_labels};

/// The key of a database Secret that holds the address.
pub(super) const DATABASE_KEY: &str = "uri";
/// The variable that tells the container the address.
pub(super) const DATABASE_URL: &str = "DATABASE_URL";

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
    pub(super) resources: Option<Resources>,
    pub(super) env: Vec<EnvVar>,
    /// The Secret with the database's address.
    pub(super) database: Option<String>,
    /// Changes with the content of the Secrets that the container reads; none if it reads none.
    pub(super) secrets_hash: Option<String>,
    /// What the service has of its store.
    pub(super) guest: Option<Guest>,
    pub(super) config_maps: Vec<ConfigMapMount>,
    pub(super) pod: PodOverrides,
    pub(super) host: Option<String>,
    pub(super) exposure: Exposure,
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
    #[error(transparent)]
    Guest(#[from] GuestError),
}

impl ReconcileError for ValidateError {
    fn reason(&self) -> Reason {
        match self {
            Self::SecretMissing(_) => Reason::SecretMissing,
            Self::SecretInvalid { .. } => Reason::SecretInvalid,
            Self::Guest(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // A Secret that bears our label wakes us; one made by hand does not.
            Self::SecretMissing(_) | Self::SecretInvalid { .. } => Retry::After(Duration::from_secs(1)),
            Self::Guest(_) => Retry::OnChange,
        }
    }
}

pub(super) fn validate(service: &StoreService, seen: &Seen) -> Result<Validated, ValidateError> {
    let (name, spec) = (service.name_any(), service.spec.clone());
    let guest = guest::validate(service, &seen.host)?;
    let (database, secrets_hash) = (spec.database_secret(), secrets_hash(&spec, seen)?);
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
            Some(autoscaling) => Scaling::Auto(Box::new(autoscaling)),
            None => Scaling::Fixed(spec.replicas.unwrap_or(1)),
        },
        resources: spec.resources,
        env: spec.env.into_iter().chain(events).collect(),
        database,
        secrets_hash,
        config_maps: spec.config_maps,
        pod: spec.pod.unwrap_or_default(),
        guest,
        host: spec.host,
        exposure: spec.exposure.unwrap_or_default(),
        name,
    })
}

/// Checks that every Secret the container reads is there with the key it reads, and sums them up.
fn secrets_hash(spec: &StoreServiceSpec, seen: &Seen) -> Result<Option<String>, ValidateError> {
    let database = spec.database_secret();
    let database = database.iter().map(|secret| (DATABASE_URL, secret.as_str(), DATABASE_KEY));
    let variables = spec.env.iter().filter_map(|variable| {
        let reference = &variable.value_from.as_ref()?.secret_key_ref;
        Some((variable.name.as_str(), reference.name.as_str(), reference.key.as_str()))
    });
    let mut hashes = BTreeMap::new();
    for (variable, name, key) in database.chain(variables) {
        let secret = seen.secrets.get(name).ok_or_else(|| ValidateError::SecretMissing(name.to_owned()))?;
        if !secret.keys.contains(key) {
            let [name, key, variable] = [name, key, variable].map(str::to_owned);
            return Err(ValidateError::SecretInvalid { name, key, variable });
        }
        hashes.insert(name, secret.hash.as_str());
    }
    Ok(match hashes.values().copied().collect::<Vec<_>>().as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        all => Some(content_hash(all.iter().map(|hash| hash.as_bytes()))),
    })
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
        Secret { keys: keys.iter().map(|&key| key.to_owned()).collect(), hash: hash.to_owned(), watched: true }
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
        assert_eq!(validated.secrets_hash.as_deref(), Some("cafe"));
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
            validate(&service, &seen).unwrap().secrets_hash.unwrap()
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
}
