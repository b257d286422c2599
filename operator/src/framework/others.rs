//! Watches of what others write. Only its metadata is asked for, and nothing of that is kept: a Secret's annotations may hold
//! what is secret all the same, such as the one in which kubectl keeps what was applied.

use std::{fmt::Debug, sync::Arc};

use api::{MANAGED_BY, label};
use futures::StreamExt as _;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ResourceQuota, Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};

use super::{
    Cache, Queues,
    concern::{everything, readers, with_refused_pods},
    namespace,
    rewatch::Rewatch,
    watch::broken,
};

/// Tells whom an event concerns. `listed`: whether the kind has been listed before.
pub(super) type Tell<K> = fn(&Cache, &Queues, &Event<PartialObjectMeta<K>>, listed: bool);

/// Follows a watch for ever.
pub(super) async fn follow<K>(
    cache: Arc<Cache>,
    queues: Queues,
    api: Api<PartialObjectMeta<K>>,
    config: watcher::Config,
    tell: Tell<K>,
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
{
    let mut listed = false;
    let mut events = watcher::watcher(api, config).backoff(Rewatch::default()).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                tell(&cache, &queues, &event, listed);
                if matches!(event, Event::InitDone) && !std::mem::replace(&mut listed, true) {
                    cache.listed();
                }
            }
            Err(error) => broken::<K>(&error),
        }
    }
}

/// Secrets that are not ours.
pub(super) fn secrets_config() -> watcher::Config {
    watcher::Config::default().labels(&format!("{}!={MANAGED_BY}", label::MANAGED_BY))
}

/// Secrets that users make wake those that read them.
pub(super) fn secret(cache: &Cache, queues: &Queues, event: &Event<PartialObjectMeta<Secret>>, listed: bool) {
    match event {
        Event::Apply(secret) | Event::InitApply(secret) | Event::Delete(secret) => {
            cache.recall.forget(namespace(secret), &secret.name_any());
            queues.send_all(&readers(cache, secret));
        }
        // Nothing is kept of them, so nobody can say which have vanished while the watch was away.
        Event::InitDone if listed => queues.send_all(&everything(cache)),
        Event::InitDone => {}
        // What changes while the watch is away is not told one by one.
        Event::Init => cache.recall.forget_all(),
    }
}

/// Quotas wake those whose pods are refused: there may be room now.
pub(super) fn quota(cache: &Cache, queues: &Queues, event: &Event<PartialObjectMeta<ResourceQuota>>, listed: bool) {
    match event {
        Event::Apply(quota) | Event::InitApply(quota) | Event::Delete(quota) => {
            queues.send_all(&with_refused_pods(cache, namespace(quota)));
        }
        Event::InitDone if listed => queues.send_all(&everything(cache)),
        Event::InitDone | Event::Init => {}
    }
}

#[cfg(test)]
mod tests {
    use api::StoreService;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_that_vanished_while_the_watch_was_away_wakes_its_readers() {
        let (cache, mut writers) = Cache::new();
        let reader = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": "reader", "namespace": "shop"},
            "spec": {"store": "green", "image": "x:1", "database": {"name": "parcels"}},
        });
        let reader: StoreService = serde_json::from_value(reader).unwrap();
        writers.store_services.apply_watcher_event(&Event::Apply(reader));
        let (queues, mut receivers) = Queues::new();
        let list = |listed| {
            for event in [Event::Init, Event::InitDone] {
                secret(&cache, &queues, &event, listed);
            }
        };
        list(false);
        assert!(receivers.services.try_recv().is_err(), "nothing is known to have vanished");
        list(true);
        assert_eq!(receivers.services.try_recv().unwrap().name, "reader");
    }
}
