//! When a Deployment was seen to have an image.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use kubekit::Space;
use tokio::{sync::Notify, task::JoinSet};

/// The images of a namespace's Deployments, as the API server tells of them.
pub(crate) struct Deployments {
    seen: Arc<Seen>,
    _watch: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    /// By name: the image, and when it was told.
    images: Mutex<HashMap<String, (String, Instant)>>,
    more: Notify,
}

impl Deployments {
    pub(crate) fn watch(space: &Space<'_>) -> Self {
        let seen = Arc::new(Seen::default());
        let (events, note) = (watcher::watcher(space.api::<Deployment>(), watcher::Config::default()), seen.clone());
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

    /// Waits until the Deployment has the image; says when that was told.
    pub(crate) async fn has(&self, name: &str, image: &str) -> Instant {
        loop {
            let more = self.seen.more.notified();
            if let Some(at) = self.seen.when(name, image) {
                return at;
            }
            more.await;
        }
    }
}

impl Seen {
    fn note(&self, deployment: &Deployment) {
        let containers = deployment.spec.template.spec.as_ref().map(|pod| &pod.containers);
        let image = containers.and_then(|all| all.first()).and_then(|one| one.image.clone()).unwrap_or_default();
        let mut images = self.images.lock().expect("no code panics while holding this lock");
        let held = images.entry(deployment.name_any()).or_insert_with(|| (String::new(), Instant::now()));
        if held.0 != image {
            *held = (image, Instant::now());
        }
        drop(images);
        self.more.notify_waiters();
    }

    fn when(&self, name: &str, image: &str) -> Option<Instant> {
        let images = self.images.lock().expect("no code panics while holding this lock");
        images.get(name).filter(|(held, _)| held == image).map(|(_, at)| *at)
    }
}
