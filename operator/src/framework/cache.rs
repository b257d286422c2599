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
    runtime::{
        reflector::{self, store::Writer},
        watcher::Event,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use super::{
    malformed::Malformed,
    names::key,
    packed::{self, bears_label},
};

/// A kind that is watched.
pub(crate) trait Cached: Resource<DynamicType = ()> + Clone + Send + Sync + Sized + 'static {
    /// How its objects are kept.
    type Shelf: Shelf<Self>;

    /// Where they are.
    fn shelf(cache: &Cache) -> &Self::Shelf;
}

/// What is known of one kind.
pub(crate) trait Shelf<K> {
    /// The object of that name.
    fn find(&self, namespace: &str, name: &str) -> Option<Arc<K>>;

    /// The objects of a namespace that bear a label, in no order.
    fn labelled(&self, namespace: &str, label: &str, value: &str) -> Vec<Arc<K>>;
}

/// The writing end of a [`Shelf`].
pub(crate) trait Fill<K>: Send + 'static {
    /// Takes up one event of the watch.
    fn fill(&mut self, event: &Event<K>);
}

impl<K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static> Shelf<K> for reflector::Store<K> {
    fn find(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.get(&key(namespace, name))
    }

    fn labelled(&self, namespace: &str, label: &str, value: &str) -> Vec<Arc<K>> {
        let bears =
            |object: &K| object.meta().namespace.as_deref() == Some(namespace) && bears_label(object, label, value);
        self.state().into_iter().filter(|object| bears(object)).collect()
    }
}

impl<K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static> Fill<K> for Writer<K> {
    fn fill(&mut self, event: &Event<K>) {
        self.apply_watcher_event(event);
    }
}

impl<K> Shelf<K> for packed::Reader<K>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn find(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.get(namespace, name)
    }

    fn labelled(&self, namespace: &str, label: &str, value: &str) -> Vec<Arc<K>> {
        self.labelled(namespace, label, value)
    }
}

impl<K: Resource<DynamicType = ()> + Serialize + Send + Sync + 'static> Fill<K> for packed::Writer<K> {
    fn fill(&mut self, event: &Event<K>) {
        self.apply_watcher_event(event);
    }
}

macro_rules! cache {
    (whole { $($whole:ident: $primary:ty,)* } packed { $($packed:ident: $child:ty,)* }) => {
        /// Everything the operator knows about the cluster without asking.
        pub(crate) struct Cache {
            $(pub(crate) $whole: reflector::Store<$primary>,)*
            $(pub(crate) $packed: packed::Reader<$child>,)*
            /// Objects that are left out because they do not fit their schema.
            pub(crate) malformed: Malformed,
            /// Kinds that have not been listed yet.
            pending: AtomicUsize,
            complete: CancellationToken,
        }

        /// The writing ends of a [`Cache`].
        pub(crate) struct Writers {
            $(pub(crate) $whole: Writer<$primary>,)*
            $(pub(crate) $packed: packed::Writer<$child>,)*
        }

        impl Cache {
            /// An empty cache and what fills it.
            pub(super) fn new() -> (Self, Writers) {
                let writers = Writers { $($whole: Writer::default(),)* $($packed: packed::Writer::default(),)* };
                let cache = Self {
                    $($whole: writers.$whole.as_reader(),)*
                    $($packed: writers.$packed.as_reader(),)*
                    malformed: Malformed::default(),
                    // Also the Secrets of others, of which nothing is kept.
                    pending: AtomicUsize::new([$(stringify!($whole),)* $(stringify!($packed),)*].len() + 1),
                    complete: CancellationToken::new(),
                };
                (cache, writers)
            }
        }

        $(impl Cached for $primary {
            type Shelf = reflector::Store<Self>;

            fn shelf(cache: &Cache) -> &Self::Shelf {
                &cache.$whole
            }
        })*

        $(impl Cached for $child {
            type Shelf = packed::Reader<Self>;

            fn shelf(cache: &Cache) -> &Self::Shelf {
                &cache.$packed
            }
        })*
    };
}

cache! {
    whole {
        stores: Store,
        store_services: StoreService,
        store_databases: StoreDatabase,
        store_topics: StoreTopic,
    }
    packed {
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
        K::shelf(self).find(namespace, name)
    }

    /// The objects of a namespace that bear a label, in the order of their names.
    pub(crate) fn labelled<K: Cached>(&self, namespace: &str, label: &str, value: &str) -> Vec<Arc<K>> {
        let mut found = K::shelf(self).labelled(namespace, label, value);
        found.sort_by(|one, other| one.meta().name.cmp(&other.meta().name));
        found
    }
}
