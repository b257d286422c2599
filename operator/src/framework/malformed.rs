//! Stored objects that do not fit their schema: nothing can be done for them until somebody corrects them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use api::Reason;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::{Context, namespace};

/// The malformed objects that the watches have seen, with what is wrong.
#[derive(Default)]
pub(crate) struct Malformed(Mutex<BTreeMap<Key, Complaint>>);

/// Kind, namespace and name.
type Key = (String, String, String);

#[derive(Clone)]
struct Complaint {
    object: ObjectReference,
    note: String,
}

impl Malformed {
    pub(super) fn note<K: Resource<DynamicType = ()>>(&self, object: &K, note: &str) {
        self.known().insert(key(object), Complaint { object: object.object_ref(&()), note: note.to_owned() });
    }

    /// Notes that an object is gone or fits its schema.
    pub(super) fn forget<K: Resource<DynamicType = ()>>(&self, object: &K) {
        self.known().remove(&key(object));
    }

    /// Notes that a kind is being listed anew.
    pub(super) fn forget_kind<K: Resource<DynamicType = ()>>(&self) {
        let kind = K::kind(&());
        self.known().retain(|(held, _, _), _| *held != kind);
    }

    /// How many there are, by kind.
    pub(super) fn count(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (kind, _, _) in self.known().keys() {
            *counts.entry(kind.clone()).or_default() += 1;
        }
        counts
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Key, Complaint>> {
        self.0.lock().expect("no code panics while holding this lock")
    }
}

/// Publishes an event about each malformed object. The watches do so when they see one, but only the leader may: what
/// this process saw before it led is told here.
pub(crate) async fn tell_of_malformed(context: &Context) {
    let complaints: Vec<Complaint> = context.cache.malformed.known().values().cloned().collect();
    for Complaint { object, note } in complaints {
        context.events.publish_about(&object, Reason::ObjectMalformed, &note).await;
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
    use crate::framework::scenario::{Scenario, told};

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
        malformed.forget(&object::<Store>("green"));
        assert_eq!(malformed.count(), counts(0, 1));
        malformed.forget_kind::<StoreTopic>();
        assert_eq!(malformed.count(), counts(0, 0));
    }

    #[tokio::test]
    async fn what_a_standby_saw_is_told_when_it_leads() {
        let (scenario, context, _) = Scenario::of(vec![told("shop")]);
        context.cache.malformed.note(&object::<Store>("green"), "no version");
        tell_of_malformed(&context).await;
        assert_eq!(scenario.finish()[0]["note"], "no version");
    }
}
