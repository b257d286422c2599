//! What the API server tells of Deployments, and when it told it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use kubekit::Cluster;
use tokio::{sync::Notify, task::JoinSet};

/// The environment variable that a change of the bench sets.
pub(crate) const MARK: &str = "BENCH_MARK";

/// All Deployments there are.
pub(crate) struct Deployments {
    seen: Arc<Seen>,
    _watch: JoinSet<()>,
}

/// A Deployment as it was told of once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Telling {
    /// The image of its pods.
    pub(crate) image: String,
    /// What [`MARK`] is set to, if it is.
    pub(crate) mark: Option<String>,
    /// Whether its pods were not ready in time.
    pub(crate) late: bool,
    /// Whether its status is of its present generation.
    pub(crate) settled: bool,
}

/// A Deployment's namespace and name.
type Key = (String, String);

#[derive(Default)]
struct Seen {
    /// In the order of their coming.
    tellings: Mutex<HashMap<Key, Vec<(Instant, Telling)>>>,
    more: Notify,
}

impl Deployments {
    pub(crate) fn watch(cluster: &Cluster) -> Self {
        let all: Api<Deployment> = Api::all(cluster.admin());
        let seen = Arc::new(Seen::default());
        let (events, note) = (watcher::watcher(all, watcher::Config::default()), seen.clone());
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            let told = events.default_backoff().applied_objects();
            told.for_each(|deployment| {
                if let Ok(deployment) = deployment {
                    note.note(&deployment);
                }
                std::future::ready(())
            })
            .await;
        });
        Self { seen, _watch: watch }
    }

    /// Waits until the Deployment has been told to be so, not before `since`. Says when that was told for the first time.
    pub(crate) async fn first(
        &self,
        namespace: &str,
        name: &str,
        since: Instant,
        wanted: impl Fn(&Telling) -> bool,
    ) -> Instant {
        let key = (namespace.to_owned(), name.to_owned());
        loop {
            let more = self.seen.more.notified();
            if let Some(at) = self.seen.first(&key, since, &wanted) {
                return at;
            }
            more.await;
        }
    }
}

impl Seen {
    fn note(&self, deployment: &Deployment) {
        let key = (deployment.namespace().unwrap_or_default(), deployment.name_any());
        let mut tellings = self.tellings.lock().expect("no code panics while holding this lock");
        tellings.entry(key).or_default().push((Instant::now(), Telling::of(deployment)));
        drop(tellings);
        self.more.notify_waiters();
    }

    fn first(&self, key: &Key, since: Instant, wanted: impl Fn(&Telling) -> bool) -> Option<Instant> {
        let tellings = self.tellings.lock().expect("no code panics while holding this lock");
        let all = tellings.get(key)?;
        all.iter().find(|(at, telling)| *at >= since && wanted(telling)).map(|(at, _)| *at)
    }
}

impl Telling {
    fn of(deployment: &Deployment) -> Self {
        let pods = deployment.spec.template.spec.as_ref();
        let Some(container) = pods.and_then(|pods| pods.containers.first()) else { return Self::default() };
        let mark = container.env.iter().flatten().find(|variable| variable.name == MARK);
        let conditions = deployment.status.iter().flat_map(|status| status.conditions.iter().flatten());
        Self {
            image: container.image.clone().unwrap_or_default(),
            mark: mark.and_then(|variable| variable.value.clone()),
            settled: deployment
                .status
                .as_ref()
                .is_some_and(|status| status.observed_generation == deployment.metadata.generation),
            late: conditions.into_iter().any(|one| one.reason.as_deref() == Some("ProgressDeadlineExceeded")),
        }
    }
}
