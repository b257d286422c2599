//! What the watches have seen: one store per kind, shared by all controllers.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
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
use kube::Resource;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    digest::{Digest, Mark},
    malformed::Malformed,
    packed::{Reader, Writer},
    presence::Presence,
    recall::Recall,
};
use crate::monitoring::PodMonitor;

/// A kind that is watched.
pub(crate) trait Cached:
    Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// What is known of its objects.
    fn reader(cache: &Cache) -> &Reader<Self>;

    /// What the object is found and counted by.
    fn digest(&self) -> Digest;
}

macro_rules! cache {
    ($($name:ident: $kind:ty, $digest:path;)*) => {
        /// Everything the operator knows about the cluster without asking.
        pub(crate) struct Cache {
            $(pub(crate) $name: Reader<$kind>,)*
            /// Objects that are left out because they do not fit their schema.
            pub(crate) malformed: Malformed,
            /// What is known of the Secrets of others.
            pub(crate) recall: Recall,
            /// Whether the cluster knows the kinds of the Prometheus Operator.
            pub(crate) monitoring: Presence,
            /// Kinds that have not been listed yet.
            pending: AtomicUsize,
            complete: CancellationToken,
        }

        /// The writing ends of a [`Cache`].
        pub(crate) struct Writers {
            $(pub(crate) $name: Writer<$kind>,)*
        }

        impl Cache {
            /// An empty cache and what fills it.
            pub(super) fn new() -> (Self, Writers) {
                let writers = Writers { $($name: Writer::default(),)* };
                let cache = Self {
                    $($name: writers.$name.as_reader(),)*
                    malformed: Malformed::default(),
                    recall: Recall::default(),
                    monitoring: Presence::default(),
                    // Also the Secrets of others and quotas, of which nothing is kept.
                    pending: AtomicUsize::new([$(stringify!($name),)*].len() + 2),
                    complete: CancellationToken::new(),
                };
                (cache, writers)
            }
        }

        $(impl Cached for $kind {
            fn reader(cache: &Cache) -> &Reader<Self> {
                &cache.$name
            }

            fn digest(&self) -> Digest {
                $digest(self)
            }
        })*
    };
}

cache! {
    stores: Store, Digest::of_store;
    store_services: StoreService, Digest::of_service;
    store_databases: StoreDatabase, Digest::of_database;
    store_topics: StoreTopic, Digest::of_topic;
    deployments: Deployment, Digest::of_child;
    stateful_sets: StatefulSet, Digest::of_child;
    services: Service, Digest::of_child;
    service_accounts: ServiceAccount, Digest::of_child;
    config_maps: ConfigMap, Digest::of_child;
    secrets: Secret, Digest::of_child;
    claims: PersistentVolumeClaim, Digest::of_child;
    jobs: Job, Digest::of_child;
    autoscalers: HorizontalPodAutoscaler, Digest::of_child;
    disruption_budgets: PodDisruptionBudget, Digest::of_child;
    ingresses: Ingress, Digest::of_child;
    network_policies: NetworkPolicy, Digest::of_child;
    pod_monitors: PodMonitor, Digest::of_child;
    pods: Pod, Digest::of_child;
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
        K::reader(self).get(namespace, name)
    }

    /// The same as JSON, for those who only compare it.
    pub(super) fn body<K: Cached>(&self, namespace: &str, name: &str) -> Option<Value> {
        K::reader(self).body(namespace, name)
    }

    /// Whether a watch has seen an object of that name.
    pub(super) fn holds<K: Cached>(&self, namespace: &str, name: &str) -> bool {
        K::reader(self).holds(namespace, name)
    }

    /// The objects of a namespace, in the order of their names.
    pub(crate) fn within<K: Cached>(&self, namespace: &str) -> Vec<Arc<K>> {
        K::reader(self).within(namespace)
    }

    /// The namespaces in which a watch has seen such objects.
    pub(crate) fn namespaces<K: Cached>(&self) -> BTreeSet<String> {
        K::reader(self).all().iter().map(|packed| packed.names().0.to_owned()).collect()
    }

    /// The objects of a namespace that bear a label, in the order of their names.
    pub(crate) fn labelled<K: Cached>(&self, namespace: &str, label: &str, value: &str) -> Vec<Arc<K>> {
        K::reader(self).labelled(namespace, label, value)
    }

    /// The objects of a namespace that are found by a mark, in the order of their names.
    pub(crate) fn marked<K: Cached>(&self, namespace: &str, mark: Mark, value: &str) -> Vec<Arc<K>> {
        K::reader(self).marked(namespace, mark, value)
    }
}
