//! Step 2: what a Store asks for, with every default in its place. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use api::{
    ANNOTATION_ROTATE, ANNOTATION_STORE_UID, Autoscaling, DatabaseTarget, DeletionPolicy, EnvVar, Exposure,
    ExternalKafka, ImagePullPolicy, LocalReference, LogLevel, PodMonitoring, PodOverrides, Reason, Resources,
    ServiceName, ServiceSettings, Store, TlsMode,
};
use k8s_openapi::{api::core::v1::PersistentVolumeClaim, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::ResourceExt;

use super::{dereference::Seen, names::Names};
use crate::{
    framework::{ReconcileError, Retry, namespace, owner_reference},
    guests::{Given, give},
    storage,
};

/// A Store that can be built.
#[derive(Clone, Debug)]
pub(super) struct Validated {
    pub(super) names: Names,
    pub(super) namespace: String,
    pub(super) owner: OwnerReference,
    /// Namespace of the operator.
    pub(super) operator: String,
    /// The release to run, as the user calls it.
    pub(super) version: String,
    pub(super) image: Image,
    pub(super) host: Option<String>,
    pub(super) exposure: Exposure,
    pub(super) database: DatabaseTarget,
    /// The rotation of passwords that was asked for last.
    pub(super) rotate: Option<String>,
    pub(super) kafka: Kafka,
    pub(super) cache: Cache,
    /// The services that run, by name.
    pub(super) services: BTreeMap<ServiceName, Service>,
    /// What services that users added to the store were given.
    pub(super) given: Given,
    /// Databases that were asked for so far, beside the store's own: they stay until the store's data goes.
    pub(super) held_databases: BTreeSet<String>,
    pub(super) currency: String,
    pub(super) log_level: LogLevel,
    /// How the figures of the services are to be found.
    pub(super) pod_monitors: Option<PodMonitoring>,
    pub(super) migration_timeout: Duration,
    pub(super) progress_deadline: Duration,
    pub(super) auto_rollback: bool,
    pub(super) suspend: bool,
    pub(super) deletion_policy: DeletionPolicy,
    pub(super) adopt_retained_data: bool,
}

/// The image of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// Repository and tag.
    pub(super) reference: String,
    pub(super) repository: String,
    pub(super) pull_policy: ImagePullPolicy,
    pub(super) pull_secrets: Vec<LocalReference>,
}

/// Who runs the broker.
#[derive(Clone, Debug)]
pub(super) enum Kafka {
    /// This operator.
    Managed(Box<DataServer>),
    /// Somebody else.
    External(ExternalKafka),
}

/// Who runs the cache.
#[derive(Clone, Debug)]
pub(super) enum Cache {
    /// This operator.
    Managed(Box<DataServer>),
    /// Somebody else; its address is in the Secret of this name.
    External(String),
}

/// A server with data.
#[derive(Clone, Debug)]
pub(super) struct DataServer {
    pub(super) image: String,
    pub(super) resources: Option<Resources>,
    pub(super) claim: storage::Claim,
}

/// One service, with its settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Service {
    /// Tag of its image, where it is not the store's.
    pub(super) version: Option<String>,
    pub(super) replicas: Option<i32>,
    pub(super) autoscaling: Option<Autoscaling>,
    pub(super) resources: Option<Resources>,
    pub(super) env: Vec<EnvVar>,
    pub(super) pod: Option<PodOverrides>,
}

/// The spec passed a schema that this operator does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValidateError {
    #[error("spec.upgrade.{field} is {text:?}: write a duration such as 90s, 5m or 1h30m")]
    Duration {
        /// The field.
        field: &'static str,
        /// What it holds.
        text: String,
    },
    #[error("spec.{0} sets no mode: set exactly one of spec.{0}.managed and spec.{0}.external")]
    NoMode(&'static str),
    #[error(
        "the volumes {} hold the data of a former store of this name: set spec.adoptRetainedData to true to take the data \
         up, or delete the volumes with the Secrets that belong to them",
        .0.join(", ")
    )]
    DataRetained(Vec<String>),
}

impl Validated {
    /// The image that a service is asked to run.
    pub(super) fn image_of(&self, service: ServiceName) -> String {
        self.own_image(service).unwrap_or_else(|| self.image.reference.clone())
    }

    /// The image of a service that has a version of its own.
    pub(super) fn own_image(&self, service: ServiceName) -> Option<String> {
        let version = self.services.get(&service)?.version.as_ref()?;
        Some(format!("{}:{version}", self.image.repository))
    }

    /// Whether the services verify the certificate of the database server.
    pub(super) fn verifies_database(&self) -> bool {
        let external = self.database.external.as_ref();
        external.is_some_and(|external| external.tls_mode() == TlsMode::VerifyFull)
    }

    /// The servers with a volume that the store runs, by name.
    pub(super) fn servers(&self) -> impl Iterator<Item = (String, &DataServer)> {
        let kafka = match &self.kafka {
            Kafka::Managed(server) => Some((self.names.kafka(), &**server)),
            Kafka::External(_) => None,
        };
        let cache = match &self.cache {
            Cache::Managed(server) => Some((self.names.cache(), &**server)),
            Cache::External(_) => None,
        };
        kafka.into_iter().chain(cache)
    }
}

impl ReconcileError for ValidateError {
    fn reason(&self) -> Reason {
        match self {
            Self::DataRetained(_) => Reason::DataRetained,
            Self::Duration { .. } | Self::NoMode(_) => Reason::SpecInvalid,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // The claim of the database wakes its own controller, not this one.
            Self::DataRetained(_) => Retry::Steady,
            Self::Duration { .. } | Self::NoMode(_) => Retry::OnChange,
        }
    }
}

pub(super) fn validate(store: &Store, seen: &Seen) -> Result<Validated, ValidateError> {
    let spec = store.spec.clone();
    let retained = left_behind(store, seen);
    if !retained.is_empty() && !spec.adopt_retained_data {
        return Err(ValidateError::DataRetained(retained));
    }
    let upgrade = spec.upgrade;
    Ok(Validated {
        names: Names::new(&store.name_any()),
        namespace: namespace(store).to_owned(),
        owner: owner_reference(store),
        operator: seen.operator.clone(),
        image: Image {
            reference: format!("{}:{}", spec.image.repository, spec.image.tag.as_ref().unwrap_or(&spec.version)),
            repository: spec.image.repository,
            pull_policy: spec.image.pull_policy,
            pull_secrets: spec.image.pull_secrets,
        },
        version: spec.version,
        host: spec.host,
        exposure: spec.exposure.unwrap_or_default(),
        database: spec.database,
        rotate: store.annotations().get(ANNOTATION_ROTATE).cloned(),
        kafka: kafka(spec.kafka, store.uid().as_deref(), seen)?,
        cache: cache(spec.cache, store.uid().as_deref(), seen)?,
        services: services(&spec.services),
        given: give(&seen.guests).keep(&seen.kept_routes),
        held_databases: held_databases(seen),
        currency: spec.payments.currency,
        log_level: spec.observability.log_level,
        pod_monitors: spec.observability.pod_monitors.clone(),
        migration_timeout: duration("migrationTimeout", upgrade.migration_timeout)?,
        progress_deadline: duration("progressDeadline", upgrade.progress_deadline)?,
        auto_rollback: upgrade.auto_rollback,
        suspend: spec.suspend,
        deletion_policy: spec.deletion_policy,
        adopt_retained_data: spec.adopt_retained_data,
    })
}

/// Volumes that hold the data of another Store of this name: one that was deleted and kept its data.
fn left_behind(store: &Store, seen: &Seen) -> Vec<String> {
    let of_another = |claim: &&std::sync::Arc<PersistentVolumeClaim>| {
        let made_for = claim.annotations().get(ANNOTATION_STORE_UID);
        claim.metadata.deletion_timestamp.is_none() && made_for.is_some() && made_for != store.metadata.uid.as_ref()
    };
    seen.claims.iter().filter(of_another).map(|claim| claim.name_any()).collect()
}

fn held_databases(seen: &Seen) -> BTreeSet<String> {
    let held = seen.database.iter().flat_map(|database| &database.spec.databases);
    held.map(|database| database.name.clone()).collect()
}

fn kafka(spec: api::Kafka, store: Option<&str>, seen: &Seen) -> Result<Kafka, ValidateError> {
    Ok(match (spec.managed, spec.external) {
        (Some(kafka), None) => {
            let server = data_server(kafka.image, &kafka.storage, kafka.resources, store, &seen.kafka.storage);
            Kafka::Managed(Box::new(server))
        }
        (None, Some(kafka)) => Kafka::External(kafka),
        _ => return Err(ValidateError::NoMode("kafka")),
    })
}

fn cache(spec: api::Cache, store: Option<&str>, seen: &Seen) -> Result<Cache, ValidateError> {
    Ok(match (spec.managed, spec.external) {
        (Some(cache), None) => {
            let server = data_server(cache.image, &cache.storage, cache.resources, store, &seen.cache.storage);
            Cache::Managed(Box::new(server))
        }
        (None, Some(cache)) => Cache::External(cache.url_secret_ref.name),
        _ => return Err(ValidateError::NoMode("cache")),
    })
}

fn data_server(
    image: String,
    storage: &api::Storage,
    resources: Option<Resources>,
    store: Option<&str>,
    observed: &storage::Observed,
) -> DataServer {
    DataServer { image, resources, claim: storage::claim(storage, store, observed) }
}

/// Every service that is not disabled; one that is not listed runs with its defaults.
fn services(settings: &[ServiceSettings]) -> BTreeMap<ServiceName, Service> {
    ServiceName::ALL
        .into_iter()
        .filter_map(|name| {
            let service = match settings.iter().find(|settings| settings.name == name) {
                Some(settings) if settings.disabled => return None,
                Some(settings) => Service {
                    version: settings.version.clone(),
                    replicas: settings.replicas,
                    autoscaling: settings.autoscaling.clone(),
                    resources: settings.resources.clone(),
                    env: settings.env.clone(),
                    pod: settings.pod.clone(),
                },
                None => Service::default(),
            };
            Some((name, service))
        })
        .collect()
}

fn duration(field: &'static str, text: String) -> Result<Duration, ValidateError> {
    read_duration(&text).ok_or(ValidateError::Duration { field, text })
}

/// Reads hours, minutes and seconds in this order, each at most once.
fn read_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    for (unit, length) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(spec: &str) -> Store {
        serde_yaml::from_str(&format!(
            "{{apiVersion: greencommerce.dev/v1alpha1, kind: Store, metadata: {{name: green, namespace: shop}}, spec: {spec}}}"
        ))
        .unwrap()
    }

    fn valid(spec: &str) -> Validated {
        validate(&store(spec), &Seen::default()).unwrap()
    }

    #[test]
    fn a_version_is_all_that_is_needed() {
        let validated = valid("{version: 1.2.3}");
        assert_eq!(validated.image.reference, "greencommerce/services:1.2.3");
        assert_eq!(validated.services.len(), 6);
        assert_eq!(validated.migration_timeout, Duration::from_mins(5));
        assert!(validated.database.managed.is_some());
    }

    #[test]
    fn a_tag_takes_the_place_of_the_version() {
        let validated = valid("{version: 1.2.3, image: {repository: registry.example/shop, tag: dev-1}}");
        assert_eq!(validated.image.reference, "registry.example/shop:dev-1");
    }

    #[test]
    fn a_disabled_service_does_not_run_and_the_others_do() {
        let validated =
            valid("{version: 1.2.3, services: [{name: gateway, disabled: true}, {name: catalog, replicas: 3}]}");
        assert!(!validated.services.contains_key(&ServiceName::Gateway));
        assert_eq!(validated.services[&ServiceName::Catalog].replicas, Some(3));
        assert_eq!(validated.services[&ServiceName::Orders], Service::default());
    }

    #[test]
    fn durations_are_read_as_the_schema_allows_them() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1h1m1s", 3661)] {
            assert_eq!(read_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "m", "1m1h", "0s", "1d"] {
            assert_eq!(read_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_store_without_a_broker_is_refused_with_what_to_do() {
        let error = validate(&store("{version: 1.2.3, kafka: {}}"), &Seen::default()).unwrap_err();
        let expected = "spec.kafka sets no mode: set exactly one of spec.kafka.managed and spec.kafka.external";
        assert_eq!(error.to_string(), expected);
    }

    fn with_claim(made_for: Option<&str>) -> Seen {
        let annotations = made_for.map(|uid| serde_json::json!({ANNOTATION_STORE_UID: uid}));
        let claim = serde_json::json!({"metadata": {"name": "green-kafka", "annotations": annotations}});
        Seen { claims: vec![std::sync::Arc::new(serde_json::from_value(claim).unwrap())], ..Seen::default() }
    }

    #[test]
    fn data_of_a_former_store_is_taken_up_only_when_asked_for() {
        let store_of = |spec: &str| {
            let mut store = store(spec);
            store.metadata.uid = Some("new".to_owned());
            store
        };
        let refused = validate(&store_of("{version: 1.2.3}"), &with_claim(Some("old"))).unwrap_err();
        assert_eq!(refused.reason(), Reason::DataRetained);
        assert!(refused.to_string().contains("green-kafka"), "{refused}");
        let asked = store_of("{version: 1.2.3, adoptRetainedData: true}");
        assert!(validate(&asked, &with_claim(Some("old"))).is_ok());
        for own in [Some("new"), None] {
            assert!(validate(&store_of("{version: 1.2.3}"), &with_claim(own)).is_ok());
        }
    }
}
