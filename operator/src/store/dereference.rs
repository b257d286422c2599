//! Step 1: everything a Store depends on, and what there is of its children.

use std::{collections::BTreeMap, sync::Arc};

use api::{Reason, ServiceName, Storage, Store, StoreDatabase, StoreService, StoreTopic, label};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod},
};
use kube::ResourceExt;

use super::{
    external::ExternalCache,
    migration::pods_of,
    names::{Names, TOPICS},
};
use crate::{
    framework::{Context, ReconcileError, Retry, namespace},
    guests,
    refused::{self, Podless},
    storage,
};

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Namespace of the operator.
    pub(super) operator: String,
    /// When that was.
    pub(super) at: Timestamp,
    pub(super) database: Option<Arc<StoreDatabase>>,
    pub(super) topics: Vec<Arc<StoreTopic>>,
    pub(super) services: BTreeMap<ServiceName, Arc<StoreService>>,
    pub(super) kafka: Server,
    pub(super) cache: Server,
    /// The cache, if somebody else runs it.
    pub(super) external_cache: Option<ExternalCache>,
    pub(super) routes: Option<Arc<ConfigMap>>,
    /// The store's volumes, those of its database included.
    pub(super) claims: Vec<Arc<PersistentVolumeClaim>>,
    /// Services that users added to the store.
    pub(super) guests: Vec<Arc<StoreService>>,
    /// Routes to services that do not fit their schema: nobody can read which they ask for.
    pub(super) kept_routes: Vec<guests::Route>,
    /// Migrations, of this version and of others.
    pub(super) jobs: Vec<Arc<Job>>,
    /// Pods of migrations.
    pub(super) job_pods: Vec<Arc<Pod>>,
    /// Migrations that should have a pod and have none, by the Job's name.
    pub(super) podless_jobs: BTreeMap<String, Podless>,
}

/// A server with data that the Store controller runs itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) stateful_set: Option<Arc<StatefulSet>>,
    pub(super) pods: Vec<Arc<Pod>>,
    /// What keeps its pod from being there, where it should be.
    pub(super) podless: Option<Podless>,
    pub(super) storage: storage::Observed,
}

/// A read failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the {kind} {name}")]
pub(crate) struct DereferenceError {
    kind: &'static str,
    name: String,
    #[source]
    source: Box<kube::Error>,
}

impl DereferenceError {
    pub(super) fn of(kind: &'static str, name: &str) -> impl FnOnce(kube::Error) -> Self {
        let name = name.to_owned();
        move |source| Self { kind, name, source: Box::new(source) }
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

impl Server {
    /// Whether its pod is refused.
    pub(super) fn is_refused(&self) -> bool {
        self.podless.as_ref().is_some_and(Podless::is_refused)
    }
}

/// Reads from the cache; only the class of a volume that must grow and why there is no pod are asked for.
pub(super) async fn dereference(
    context: &Context,
    store: &Store,
    external_cache: Option<ExternalCache>,
) -> Result<Seen, DereferenceError> {
    let (space, name) = (namespace(store), store.name_any());
    let (cache, names) = (&context.cache, Names::new(&name));
    let of_store = |component: &str| -> Vec<Arc<Pod>> {
        let pods = cache.labelled::<Pod>(space, label::STORE, &name);
        pods.into_iter()
            .filter(|pod| pod.labels().get(label::COMPONENT).is_some_and(|held| held == component))
            .collect()
    };
    let server = async |server: &str, component: &str, want: Option<&Storage>| {
        let (stateful_set, pods) = (cache.get(space, server), of_store(component));
        let podless = match stateful_set.as_deref() {
            Some(set) => refused::of_set(context, set, &pods).await,
            None => None,
        };
        Ok(Server { stateful_set, pods, podless, storage: observed(context, space, server, want).await? })
    };
    let services = ServiceName::ALL.into_iter();
    let (jobs, job_pods) = (cache.labelled(space, label::STORE, &name), of_store("migration"));
    let routes: Option<Arc<ConfigMap>> = cache.get(space, &names.routes());
    Ok(Seen {
        operator: context.own_namespace().to_owned(),
        at: context.clock.now(),
        database: cache.get(space, &name),
        topics: TOPICS.iter().filter_map(|topic| cache.get(space, &names.topic(topic))).collect(),
        services: services.filter_map(|service| Some((service, cache.get(space, &names.service(service))?))).collect(),
        kafka: server(&names.kafka(), "broker", store.spec.kafka.managed.as_ref().map(|kafka| &kafka.storage)).await?,
        cache: server(&names.cache(), "cache", store.spec.cache.managed.as_ref().map(|cache| &cache.storage)).await?,
        external_cache,
        kept_routes: routes
            .as_deref()
            .map(|file| guests::leading_to(&cache.malformed.names::<StoreService>(space), file))
            .unwrap_or_default(),
        routes,
        claims: cache.labelled(space, label::STORE, &name),
        guests: guests::of_store(cache, space, &name),
        podless_jobs: if store.spec.suspend { BTreeMap::new() } else { podless(context, &jobs, &job_pods).await },
        jobs,
        job_pods,
    })
}

/// What keeps the pods of migrations from being there, where they should be.
async fn podless(context: &Context, jobs: &[Arc<Job>], pods: &[Arc<Pod>]) -> BTreeMap<String, Podless> {
    let mut podless = BTreeMap::new();
    for job in jobs {
        let pods: Vec<&Pod> = pods_of(job, pods).collect();
        if let Some(found) = refused::of_job(context, job, &pods).await {
            podless.insert(job.name_any(), found);
        }
    }
    podless
}

async fn observed(
    context: &Context,
    space: &str,
    claim: &str,
    want: Option<&Storage>,
) -> Result<storage::Observed, DereferenceError> {
    let claim = context.cache.get::<PersistentVolumeClaim>(space, claim);
    let needed = claim.as_deref().filter(|claim| want.is_some_and(|want| storage::needs_class(want, claim)));
    let class = match needed.and_then(storage::class_of) {
        Some(name) => {
            Some(storage::read_class(context, name).await.map_err(DereferenceError::of("StorageClass", name))?)
        }
        None => None,
    };
    Ok(storage::Observed { claim: claim.as_deref().cloned(), class })
}
