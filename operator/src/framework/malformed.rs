//! Stored objects that do not fit their schema: nothing can be done for them until somebody corrects them.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use api::{FINALIZER, Reason};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api, Resource,
    api::{ObjectMeta, Patch, PatchParams},
    core::{ApiResource, DynamicObject},
};
use serde_json::json;
use tokio::{sync::Notify, time::sleep};

use super::{Context, chain, has_finalizer, metrics, namespace};

/// How soon to try again to let an object go.
const RETRY: Duration = Duration::from_secs(10);

/// The malformed objects that the watches have seen, with what is wrong.
#[derive(Default)]
pub(crate) struct Malformed {
    known: Mutex<BTreeMap<Key, Complaint>>,
    news: Notify,
}

/// Kind, namespace and name.
type Key = (String, String, String);

#[derive(Clone)]
struct Complaint {
    object: ObjectReference,
    note: String,
    told: bool,
    /// Whether its kind is being listed anew, and the list has not had it so far.
    unlisted: bool,
    /// Of an object that is being deleted and that our finalizer holds back.
    held: Option<Held>,
}

/// What it takes to let an object go: nobody can read what it says about its data.
#[derive(Clone)]
struct Held {
    resource: ApiResource,
    metadata: ObjectMeta,
}

impl Malformed {
    pub(crate) fn note<K: Resource<DynamicType = ()>>(&self, object: &K, note: &str) {
        let is_held = object.meta().deletion_timestamp.is_some() && has_finalizer(object);
        let held = is_held.then(|| Held { resource: ApiResource::erase::<K>(&()), metadata: object.meta().clone() });
        let (key, object) = (key(object), object.object_ref(&()));
        let mut known = self.known();
        let told =
            known.get(&key).is_some_and(|before| before.told && before.note == note && before.object.uid == object.uid);
        known.insert(key, Complaint { object, note: note.to_owned(), told, unlisted: false, held });
        self.news.notify_one();
    }

    /// Notes that an object is gone or fits its schema.
    pub(super) fn forget<K: Resource<DynamicType = ()>>(&self, object: &K) {
        self.known().remove(&key(object));
    }

    /// Notes that a kind is being listed anew. Until the list is complete what was known counts: a service that nobody can
    /// read keeps its path at the gateway.
    pub(super) fn listing<K: Resource<DynamicType = ()>>(&self) {
        let kind = K::kind(&());
        let mut known = self.known();
        let of_kind = known.iter_mut().filter(|((held, _, _), _)| *held == kind);
        of_kind.for_each(|(_, complaint)| complaint.unlisted = true);
    }

    /// Notes that a kind has been listed: what the list did not have is gone.
    pub(super) fn listed<K: Resource<DynamicType = ()>>(&self) {
        let kind = K::kind(&());
        self.known().retain(|(held, _, _), complaint| *held != kind || !complaint.unlisted);
    }

    /// Names of those of a kind in a namespace.
    pub(crate) fn names<K: Resource<DynamicType = ()>>(&self, namespace: &str) -> BTreeSet<String> {
        let kind = K::kind(&());
        let known = self.known();
        let of_kind = known.keys().filter(|(held, space, _)| *held == kind && space == namespace);
        of_kind.map(|(_, _, name)| name.clone()).collect()
    }

    /// How many there are, by kind.
    pub(super) fn count(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (kind, _, _) in self.known().keys() {
            *counts.entry(kind.clone()).or_default() += 1;
        }
        counts
    }

    /// What nobody has been told of, which from now on counts as told, and what is to be let go.
    fn open(&self) -> Vec<Complaint> {
        let mut known = self.known();
        let open: Vec<Complaint> =
            known.values().filter(|complaint| !complaint.told || complaint.held.is_some()).cloned().collect();
        known.values_mut().for_each(|complaint| complaint.told = true);
        open
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Key, Complaint>> {
        self.known.lock().expect("no code panics while holding this lock")
    }
}

/// What the leader does for malformed objects: it tells of each in an event, what it saw before it led included, and lets go
/// those that are being deleted.
pub(crate) async fn attend_to_malformed(context: &Context) -> Infallible {
    loop {
        let done = attend_once(context).await;
        let again = async { if done { std::future::pending().await } else { sleep(RETRY).await } };
        tokio::select! { () = context.cache.malformed.news.notified() => {}, () = again => {} }
    }
}

/// Returns whether there is nothing to try again.
async fn attend_once(context: &Context) -> bool {
    let mut done = true;
    for Complaint { object, note, told, held, unlisted: _ } in context.cache.malformed.open() {
        if !told {
            context.events.publish_about(&object, Reason::ObjectMalformed, &note).await;
        }
        if let Some(held) = held {
            done &= let_go(context, &object, &held).await;
        }
    }
    done
}

/// Removes our finalizer from a malformed object that is being deleted; the API server then completes the deletion. Returns
/// whether there is nothing to try again.
async fn let_go(context: &Context, object: &ObjectReference, Held { resource, metadata }: &Held) -> bool {
    let [namespace, name] = [&metadata.namespace, &metadata.name].map(|name| name.as_deref().unwrap_or_default());
    let wanted: Vec<&String> = metadata.finalizers.iter().flatten().filter(|held| *held != FINALIZER).collect();
    // Of exactly the version that was seen: it may be corrected by now, and then its deletion policy counts.
    let version = json!({"uid": metadata.uid, "resourceVersion": metadata.resource_version, "finalizers": wanted});
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, resource);
    let patch = Patch::Merge(json!({"metadata": version}));
    match api.patch_metadata(name, &PatchParams::default(), &patch).await {
        Ok(_) => {
            metrics::wrote(&resource.kind, "finalize");
            let note = "does not fit its schema and is deleted: whatever data it stands for is left where it is";
            tracing::warn!(object = format!("{} {namespace}/{name}", resource.kind), note, "removed the finalizer");
            context.events.publish_about(object, Reason::DataLeftBehind, note).await;
            true
        }
        // It is gone, or another: its watch tells.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => true,
        Err(error) => {
            tracing::warn!(error = chain(&error), "cannot let go {} {namespace}/{name}", resource.kind);
            false
        }
    }
}

fn key<K: Resource<DynamicType = ()>>(object: &K) -> Key {
    (K::kind(&()).into_owned(), namespace(object).to_owned(), object.meta().name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use api::{Store, StoreTopic};
    use kube::core::PartialObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::framework::scenario::{Call, Scenario, told};

    fn object<K>(name: &str) -> PartialObjectMeta<K>
    where
        K: Resource<DynamicType = ()>,
    {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "shop", "uid": "1"}})).unwrap()
    }

    #[test]
    fn they_count_until_they_are_corrected_or_listed_anew() {
        let malformed = Malformed::default();
        malformed.note(&object::<Store>("green"), "no version");
        malformed.note(&object::<Store>("green"), "no version");
        malformed.note(&object::<StoreTopic>("orders"), "no name");
        let counts = |stores: usize, topics: usize| {
            let counts = [("Store", stores), ("StoreTopic", topics)];
            counts.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.to_owned(), count)).collect()
        };
        assert_eq!(malformed.count(), counts(1, 1));
        assert_eq!(malformed.names::<Store>("shop"), ["green".to_owned()].into());
        assert!(malformed.names::<Store>("elsewhere").is_empty());
        malformed.forget(&object::<Store>("green"));
        assert_eq!(malformed.count(), counts(0, 1));
        malformed.note(&object::<StoreTopic>("users"), "no name");
        malformed.listing::<StoreTopic>();
        assert_eq!(malformed.count(), counts(0, 2));
        malformed.note(&object::<StoreTopic>("users"), "no name");
        malformed.listed::<StoreTopic>();
        assert_eq!(malformed.names::<StoreTopic>("shop"), ["users".to_owned()].into());
    }

    #[tokio::test]
    async fn what_a_standby_saw_is_told_once_when_it_leads() {
        let (scenario, context, _) = Scenario::of(vec![told("shop")]);
        for _ in 0..2 {
            context.cache.malformed.note(&object::<Store>("green"), "no version");
            assert!(attend_once(&context).await);
        }
        assert_eq!(scenario.finish()[0]["note"], "no version");
    }

    fn leaving() -> PartialObjectMeta<StoreTopic> {
        let mut topic = object::<StoreTopic>("orders");
        topic.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        topic.metadata.finalizers = Some(vec!["example.com/other".to_owned(), FINALIZER.to_owned()]);
        topic.metadata.resource_version = Some("5".to_owned());
        topic
    }

    const LINE: &str = "PATCH /apis/greencommerce.dev/v1alpha1/namespaces/shop/storetopics/orders?";

    #[tokio::test]
    async fn one_that_is_being_deleted_is_let_go_as_it_was_seen_and_that_is_told() {
        let metadata = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {}});
        let (scenario, context, _) = Scenario::of(vec![told("shop"), Call::ok(LINE, metadata), told("shop")]);
        context.cache.malformed.note(&leaving(), "no name");
        assert!(attend_once(&context).await);
        let bodies = scenario.finish();
        let expected = json!({"uid": "1", "resourceVersion": "5", "finalizers": ["example.com/other"]});
        assert_eq!(bodies[1]["metadata"], expected);
        assert_eq!(bodies[2]["reason"], "DataLeftBehind");
    }

    #[tokio::test]
    async fn one_that_cannot_be_let_go_now_is_tried_again_and_one_that_changed_is_not() {
        let refused = [500, 409].map(|code| Call::refused(LINE, code, "not now"));
        let (scenario, context, _) = Scenario::of([told("shop")].into_iter().chain(refused).collect());
        context.cache.malformed.note(&leaving(), "no name");
        assert!(!attend_once(&context).await);
        assert!(attend_once(&context).await);
        scenario.finish();
    }
}
