//! Keeping the cache current, and waking the controllers when something changes.

use std::{collections::BTreeSet, fmt::Debug, future::Future, sync::Arc};

use api::{ANNOTATION_SECRETS, MANAGED_BY, StoreService, StoreTopic, label};
use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Pod, PodSpec, Secret},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};

use super::{
    Cache, Cached, Context, Queues, Wake,
    cache::Writers,
    chain,
    concern::{everything, household, mounting, readers, suspects},
    metrics, namespace,
    others::{self, Tell},
    packed::Writer,
    presence::{UNKNOWN, optional},
    rewatch::Rewatch,
    schema::well_formed,
    untyped,
};
use crate::{
    guests::{gateway_of, is_of_users},
    monitoring::PodMonitor,
};

/// A watch that never ends by itself.
type Watch = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Cache {
    /// An empty cache and the watches that fill it, from one namespace or from all.
    pub(crate) fn filled_by(
        client: Client,
        namespace: Option<String>,
    ) -> (Arc<Self>, impl FnOnce(&Context, &Queues) -> Vec<Watch>) {
        let (cache, writers) = Self::new();
        (Arc::new(cache), move |context: &Context, queues: &Queues| {
            spawn(Scope { client, namespace }, context, queues, writers)
        })
    }
}

/// The watches, one per kind. Children are selected by their label, so other people's objects cost nothing.
fn spawn(scope: Scope, context: &Context, queues: &Queues, writers: Writers) -> Vec<Watch> {
    let watches = Watches { scope, context, queues };
    vec![
        watches.primary(writers.stores, |store| Some(store.name_any())),
        watches.store_services(writers.store_services),
        watches.primary(writers.store_databases, |database| label_of(database, label::STORE).map(str::to_owned)),
        watches.primary(writers.store_topics, |_| None),
        watches.child(writers.deployments, |_| {}),
        watches.stateful_sets(writers.stateful_sets),
        watches.child(writers.services, |_| {}),
        watches.child(writers.service_accounts, |_| {}),
        watches.config_maps(writers.config_maps),
        watches.secrets(writers.secrets),
        watches.of_others(others::secrets_config(), others::secret),
        watches.of_others(watcher::Config::default(), others::quota),
        watches.child(writers.claims, |_| {}),
        watches.child(writers.jobs, |_| {}),
        watches.child(writers.autoscalers, |_| {}),
        watches.child(writers.disruption_budgets, |_| {}),
        watches.child(writers.ingresses, |_| {}),
        watches.child(writers.network_policies, |_| {}),
        watches.pod_monitors(writers.pod_monitors),
        watches.child(writers.pods, prune_pod),
    ]
}

/// Where to watch.
struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    fn api<K: Resource<DynamicType = ()>>(&self) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => untyped::objects::<K>(&self.client, namespace),
            None => untyped::all_objects::<K>(&self.client),
        }
    }
}

struct Watches<'a> {
    scope: Scope,
    context: &'a Context,
    queues: &'a Queues,
}

impl Watches<'_> {
    /// A kind of ours: its own changes wake its controller, and its owner's. Where it concerns the guests of a store, these
    /// are woken too, and the store.
    fn primary<K>(&self, writer: Writer<K>, hosts: fn(&K) -> Option<String>) -> Watch
    where
        K: Cached + Resource<Scope = NamespaceResourceScope>,
    {
        let wakes = move |object: &K, cache: &Cache| {
            let mut wakes = Wake::owners(object);
            wakes.insert(Wake::of(object));
            if let Some(store) = hosts(object) {
                wakes.extend(household(cache, namespace(object), &store));
            }
            wakes
        };
        self.watch(watcher::Config::default(), writer, |_| {}, wakes)
    }

    /// A service that a user brought also wakes its store with the other guests, and the database that it uses, which then
    /// lets it in. One whose pods fail wakes what may be the cause, and its store, which is no longer sure of its cache. Those of
    /// a store are let in before they are there; its gateway wakes the guests to whom it leads.
    fn store_services(&self, writer: Writer<StoreService>) -> Watch {
        let vigil = self.context.vigil.clone();
        self.watch(
            watcher::Config::default(),
            writer,
            |_| {},
            move |service: &StoreService, cache| {
                let mut wakes = Wake::owners(service);
                wakes.insert(Wake::of(service));
                if service.name_any() == gateway_of(&service.spec.store) {
                    wakes.extend(household(cache, namespace(service), &service.spec.store));
                }
                if is_of_users(service) {
                    wakes.extend(household(cache, namespace(service), &service.spec.store));
                    let secret = service.spec.database_secret();
                    let secret = secret.and_then(|name| cache.get::<Secret>(namespace(service), &name));
                    wakes.extend(secret.iter().flat_map(|secret| Wake::owners(&**secret)));
                }
                let suspects = suspects(cache, service);
                if let Some(store) = suspects.iter().find(|suspect| suspect.kind == "Store") {
                    vigil.forget(store);
                }
                wakes.extend(suspects);
                wakes
            },
        )
    }

    /// A kind of Kubernetes', as far as we wrote it: its changes wake its owner's controller.
    fn child<K>(&self, writer: Writer<K>, prune: fn(&mut K)) -> Watch
    where
        K: Cached + Resource<Scope = NamespaceResourceScope>,
    {
        self.watch(ours(), writer, prune, |object, _| Wake::owners(object))
    }

    /// A kind of the Prometheus Operator, which the cluster may have or not. All that want one are woken when it comes.
    fn pod_monitors(&self, writer: Writer<PodMonitor>) -> Watch {
        let cache = self.context.cache.clone();
        let note = move |is_there| cache.monitoring.note(is_there);
        let events = optional(
            watcher::watcher(self.scope.api::<PodMonitor>(), ours()).backoff(Rewatch::default()),
            note,
            UNKNOWN,
        );
        let (context, queues) = (self.context.clone(), self.queues.clone());
        Box::pin(pump(context, queues, events.boxed(), writer, |_| {}, |object, _| Wake::owners(object)))
    }

    /// Files also wake the services that read them, and the gateway's routes the guests to whom they lead.
    fn config_maps(&self, writer: Writer<ConfigMap>) -> Watch {
        self.watch(
            ours(),
            writer,
            |_| {},
            |file: &ConfigMap, cache| {
                let mut wakes = Wake::owners(file);
                wakes.extend(mounting(cache, file));
                if let (Some("routes"), Some(store)) = (label_of(file, label::COMPONENT), label_of(file, label::STORE))
                {
                    wakes.extend(household(cache, namespace(file), store));
                }
                wakes
            },
        )
    }

    /// A broker also wakes the topics that wait for it.
    fn stateful_sets(&self, writer: Writer<StatefulSet>) -> Watch {
        self.watch(
            ours(),
            writer,
            |_| {},
            |set: &StatefulSet, cache| {
                let mut wakes = Wake::owners(set);
                if let (Some("broker"), Some(store)) = (label_of(set, label::COMPONENT), label_of(set, label::STORE)) {
                    let topics = cache.labelled::<StoreTopic>(namespace(set), label::STORE, store);
                    wakes.extend(topics.iter().map(|topic| Wake::of(&**topic)));
                }
                wakes
            },
        )
    }

    /// Secrets also wake those that read them.
    fn secrets(&self, writer: Writer<Secret>) -> Watch {
        self.watch(
            ours(),
            writer,
            |_| {},
            |secret: &Secret, cache| {
                cache.recall.forget(namespace(secret), &secret.name_any());
                let mut wakes = Wake::owners(secret);
                wakes.extend(readers(cache, secret));
                wakes
            },
        )
    }

    /// Of what others write, whom it concerns.
    fn of_others<K>(&self, config: watcher::Config, tell: Tell<K>) -> Watch
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
    {
        let client = self.scope.client.clone();
        let api = match &self.scope.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        Box::pin(others::follow(self.context.cache.clone(), self.queues.clone(), api, config, tell))
    }

    fn watch<K>(
        &self,
        config: watcher::Config,
        writer: Writer<K>,
        prune: fn(&mut K),
        wakes: impl Fn(&K, &Cache) -> BTreeSet<Wake> + Send + 'static,
    ) -> Watch
    where
        K: Cached + Resource<Scope = NamespaceResourceScope>,
    {
        let events = watcher::watcher(self.scope.api::<K>(), config).backoff(Rewatch::default()).boxed();
        let (context, queues) = (self.context.clone(), self.queues.clone());
        Box::pin(pump(context, queues, events, writer, prune, wakes))
    }
}

fn ours() -> watcher::Config {
    watcher::Config::default().labels(&format!("{}={MANAGED_BY}", label::MANAGED_BY))
}

fn label_of<'a, K: ResourceExt>(object: &'a K, key: &str) -> Option<&'a str> {
    object.labels().get(key).map(String::as_str)
}

pub(super) fn broken<K: Resource<DynamicType = ()>>(error: &watcher::Error) {
    metrics::watch_failed(&K::kind(&()));
    tracing::warn!(kind = %K::kind(&()), error = chain(error), "a watch broke and starts again");
}

/// Follows a watch for ever: each event goes into the store first, then wakes whom it concerns.
async fn pump<K>(
    context: Context,
    queues: Queues,
    mut events: BoxStream<'static, Result<Event<DynamicObject>, watcher::Error>>,
    mut writer: Writer<K>,
    prune: fn(&mut K),
    wakes: impl Fn(&K, &Cache) -> BTreeSet<Wake>,
) where
    K: Cached + Resource<Scope = NamespaceResourceScope>,
{
    let mut listed = false;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                broken::<K>(&error);
                continue;
            }
        };
        let Some(event) = well_formed::<K>(&context.cache, &queues, event) else { continue };
        let event = event.modify(prune);
        writer.apply_watcher_event(&event);
        match &event {
            Event::Apply(object) | Event::Delete(object) => {
                queues.send_all(&wakes(object, &context.cache));
            }
            Event::InitDone => {
                if !std::mem::replace(&mut listed, true) {
                    context.cache.listed();
                }
                // What vanished while the watch was away is told by nothing but its absence: look at everything once.
                queues.send_all(&everything(&context.cache));
            }
            Event::Init | Event::InitApply(_) => {}
        }
    }
}

/// Of a pod only its labels, its images, the Secrets it was made with and its status are of interest.
fn prune_pod(pod: &mut Pod) {
    pod.annotations_mut().retain(|key, _| key == ANNOTATION_SECRETS);
    if let Some(spec) = pod.spec.take() {
        let containers = spec
            .containers
            .into_iter()
            .map(|container| k8s_openapi::api::core::v1::Container {
                name: container.name,
                image: container.image,
                ..Default::default()
            })
            .collect();
        pod.spec = Some(PodSpec { containers, node_name: spec.node_name, ..PodSpec::default() });
    }
}
