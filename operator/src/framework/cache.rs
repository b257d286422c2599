//! What the watches have seen: one store per kind, shared by all controllers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use api::{Store, StoreDatabase, StoreService, StoreTopic};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Resource,
    runtime::reflector::{self, store::Writer},
};
use tokio_util::sync::CancellationToken;

use super::{key, malformed::Malformed};

/// A kind that is watched.
pub(crate) trait Cached: Resource<DynamicType = ()> + Clone + Send + Sync + Sized + 'static {
    /// The kind's store.
    fn reader(cache: &Cache) -> &reflector::Store<Self>;
}

macro_rules! cache {
    ($($field:ident: $kind:ty,)*) => {
        /// Everything the operator knows about the cluster without asking.
        pub(crate) struct Cache {
            $(pub(crate) $field: reflector::Store<$kind>,)*
            /// Objects that are left out because they do not fit their schema.
            pub(crate) malformed: Malformed,
            /// Kinds that have not been listed yet.
            pending: AtomicUsize,
            complete: CancellationToken,
        }

        /// The writing ends of a [`Cache`].
        pub(crate) struct Writers {
            $(pub(crate) $field: Writer<$kind>,)*
        }

        impl Cache {
            /// An empty cache and what fills it.
            pub(super) fn new() -> (Self, Writers) {
                let writers = Writers { $($field: Writer::default(),)* };
                let cache = Self {
                    $($field: writers.$field.as_reader(),)*
                    malformed: Malformed::default(),
                    // Also the Secrets of others, of which nothing is kept.
                    pending: AtomicUsize::new([$(stringify!($field),)*].len() + 1),
                    complete: CancellationToken::new(),
                };
                (cache, writers)
            }
        }

        $(impl Cached for $kind {
            fn reader(cache: &Cache) -> &reflector::Store<Self> {
                &cache.$field
            }
        })*
    };
}

cache! {
    stores: Store,
    store_services: StoreService,
    store_databases: StoreDatabase,
    store_topics: StoreTopic,
    deployments: Deployment,
    stateful_sets: StatefulSet,
    services: Service,
    service_accounts: ServiceAccount,
    config_maps: ConfigMap,
    secrets: Secret,
    claims: PersistentVolumeClaim,
    jobs: Job,
    autoscalers: HorizontalPodAutoscaler,
    disruption_budgets: PodDisruptionBudget,
    ingresses: Ingress,
    network_policies: NetworkPolicy,
    pods: Pod,
}

impl Cache {
    /// Notes that one more kind has been listed.
    pub(super) fn listed(&self) {
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.complete.cancel();
        }
    }

    /// Returns once every kind has been listed.
    pub(crate) async fn wait_until_complete(&self) {
        self.complete.cancelled().await;
    }

    /// Whether every kind has been listed.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.is_cancelled()
    }

    /// The object of that name, if a watch has seen it.
    pub(crate) fn get<K: Cached>(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        K::reader(self).get(&key(namespace, name))
    }

    /// The objects of a namespace that bear a label, in the order of their names.
    pub(crate) fn labelled<K: Cached>(&self, namespace: &str, label: &str, value: &str) -> Vec<Arc<K>> {
        let mut found: Vec<Arc<K>> = K::reader(self)
            .state()
            .into_iter()
            .filter(|object| {
                let meta = object.meta();
                meta.namespace.as_deref() == Some(namespace)
                    && meta.labels.as_ref().and_then(|labels| labels.get(label)).is_some_and(|held| held == value)
            })
            .collect();
        found.sort_by(|one, other| one.meta().name.cmp(&other.meta().name));
        found
    }
}
