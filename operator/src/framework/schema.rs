//! What a watch tells, read as objects of its kind.

use kube::{
    ResourceExt,
    core::{DynamicObject, PartialObjectMeta, PartialObjectMetaExt as _},
    runtime::watcher::Event,
};
use serde_json::{Map, Value};

use super::{Cache, Cached, Queues, Wake, names::describe, namespace, untyped::typed};

/// Where kubectl keeps the manifest that it applied last, as text.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Passes on what fits its schema. The rest is noted and left out, so that one such object stops nothing; and what was known
/// of it from before goes, so that nobody acts upon what it no longer is.
pub(super) fn well_formed<K: Cached>(cache: &Cache, queues: &Queues, event: Event<DynamicObject>) -> Option<Event<K>> {
    let gone = matches!(event, Event::Delete(_));
    let (wrap, mut object): (fn(K) -> Event<K>, _) = match event {
        Event::Init => {
            cache.malformed.listing::<K>();
            return Some(Event::Init);
        }
        Event::InitDone => {
            cache.malformed.listed::<K>();
            return Some(Event::InitDone);
        }
        Event::Apply(object) => (Event::Apply, object),
        Event::InitApply(object) => (Event::InitApply, object),
        Event::Delete(object) => (Event::Delete, object),
    };
    drop_bookkeeping(&mut object);
    let named: PartialObjectMeta<K> = object.metadata.clone().into_response_partial();
    let invalid = match read(object) {
        Ok(object) => {
            cache.malformed.forget(&named);
            return Some(wrap(object));
        }
        Err(invalid) => invalid,
    };
    if gone {
        cache.malformed.forget(&named);
        queues.send_all(&Wake::owners(&named));
    } else {
        let note = format!("does not fit its schema and is ignored until it is corrected: {invalid}");
        tracing::error!(object = describe(&named), note, "malformed object");
        cache.malformed.note(&named, &note);
    }
    let known = cache.get::<K>(namespace(&named), &named.name_any())?;
    Some(Event::Delete(K::clone(&known)))
}

/// The object. A status is ours to write anew: what of it another version of the operator wrote and this one cannot read is
/// left out.
fn read<K: Cached>(mut object: DynamicObject) -> Result<K, serde_json::Error> {
    let invalid = match typed(&object) {
        Ok(object) => return Ok(object),
        Err(invalid) => invalid,
    };
    let status = object.data.as_object_mut().and_then(|data| data.remove("status"));
    let Some(Value::Object(status)) = status.filter(|_| K::group(&()) == api::GROUP) else { return Err(invalid) };
    let bare: K = typed(&object)?;
    let whole = legible::<K>(&object, status);
    tracing::warn!(object = describe(&bare), error = %invalid, "a part of the status cannot be read and is left out");
    Ok(typed(&whole).unwrap_or(bare))
}

/// The object with those fields of its status that can be read; of a list, with those items.
fn legible<K: Cached>(object: &DynamicObject, status: Map<String, Value>) -> DynamicObject {
    let with = |status: Map<String, Value>| {
        let mut object = object.clone();
        if let Some(data) = object.data.as_object_mut() {
            data.insert("status".to_owned(), Value::Object(status));
        }
        object
    };
    let fits = |field: &str, value: &Value| {
        let alone = Map::from_iter([(field.to_owned(), value.clone())]);
        typed::<K>(&with(alone)).is_ok()
    };
    let mut kept = Map::new();
    for (field, mut value) in status {
        if let Value::Array(items) = &mut value {
            items.retain(|item| fits(&field, &Value::Array(vec![item.clone()])));
        }
        if fits(&field, &value) {
            kept.insert(field, value);
        }
    }
    with(kept)
}

/// What others note on objects for themselves: the API server who owns which field, kubectl the whole of what it applied.
fn drop_bookkeeping(object: &mut DynamicObject) {
    object.metadata.managed_fields = None;
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

#[cfg(test)]
mod tests {
    use api::{Store, StoreService, StoreTopic, UpgradeResult};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
    use kube::core::ApiResource;
    use serde_json::json;

    use super::*;
    use crate::framework::cache::Writers;

    fn told(kind: &str, spec: &Value, status: &Value) -> DynamicObject {
        let owner = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "name": "green", "uid": "1", "controller": true,
        });
        let object = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "orders", "namespace": "shop", "uid": "2", "ownerReferences": [owner]},
            "spec": spec, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn topic(partitions: &Value) -> DynamicObject {
        let spec = json!({"bootstrapServers": "kafka:9092", "topicName": "orders", "partitions": partitions});
        told("StoreTopic", &spec, &json!({}))
    }

    /// A watch of topics, and what it fills and wakes.
    struct Seen {
        cache: Cache,
        writers: Writers,
        queues: Queues,
        receivers: super::super::Receivers,
    }

    impl Seen {
        fn nothing() -> Self {
            let (cache, writers) = Cache::new();
            let (queues, receivers) = Queues::new();
            Self { cache, writers, queues, receivers }
        }

        fn see(&mut self, event: Event<DynamicObject>) {
            if let Some(event) = well_formed::<StoreTopic>(&self.cache, &self.queues, event) {
                self.writers.store_topics.apply_watcher_event(&event);
            }
        }

        /// Whether the topic is known, and how many are malformed.
        fn known(&self) -> (bool, usize) {
            let malformed = self.cache.malformed.count().get("StoreTopic").copied().unwrap_or(0);
            (self.cache.holds::<StoreTopic>("shop", "orders"), malformed)
        }
    }

    #[test]
    fn an_object_that_becomes_malformed_is_known_no_more_until_it_is_corrected() {
        let mut seen = Seen::nothing();
        seen.see(Event::Apply(topic(&json!(3))));
        assert_eq!(seen.known(), (true, 0));
        seen.see(Event::Apply(topic(&json!("three"))));
        assert_eq!(seen.known(), (false, 1));
        seen.see(Event::Apply(topic(&json!(4))));
        assert_eq!(seen.known(), (true, 0));
    }

    #[test]
    fn a_malformed_object_that_is_deleted_leaves_nothing_behind_and_wakes_its_owner() {
        let mut seen = Seen::nothing();
        seen.see(Event::Apply(topic(&json!(3))));
        seen.see(Event::Delete(topic(&json!("three"))));
        assert_eq!(seen.known(), (false, 0));
        assert_eq!(seen.receivers.stores.try_recv().unwrap().name, "green");
    }

    #[test]
    fn a_malformed_object_in_a_list_keeps_nothing_else_out_of_it() {
        let mut seen = Seen::nothing();
        seen.see(Event::Apply(topic(&json!(3))));
        let mut other = topic(&json!(3));
        other.metadata.name = Some("users".to_owned());
        for event in [Event::Init, Event::InitApply(topic(&json!("three"))), Event::InitApply(other), Event::InitDone] {
            seen.see(event);
        }
        assert_eq!(seen.known(), (false, 1));
        assert!(seen.cache.holds::<StoreTopic>("shop", "users"));
    }

    #[test]
    fn a_status_of_a_newer_operator_is_read_as_far_as_it_can_be() {
        let record = |to: &str, result: &str| json!({"to": to, "image": "shop:1", "attempt": "a", "result": result, "started": "2026-01-01T00:00:00Z"});
        let history = [record("3.0.0", "Paused"), record("2.0.0", "RolledBack")];
        let status = json!({"version": "1.0.0", "history": history, "endpoints": "on the moon"});
        let store: Store = read(told("Store", &json!({"version": "3.0.0"}), &status)).unwrap();
        let status = store.status.unwrap();
        assert_eq!(status.version.as_deref(), Some("1.0.0"));
        let kept: Vec<_> = status.history.iter().map(|record| (record.to.as_str(), record.result)).collect();
        assert_eq!(kept, [("2.0.0", UpgradeResult::RolledBack)]);
        assert_eq!(status.endpoints, None);
    }

    #[test]
    fn a_spec_that_cannot_be_read_is_malformed_whatever_its_status_says() {
        for status in [json!({}), json!({"history": "none"})] {
            assert!(read::<Store>(told("Store", &json!({"version": 3}), &status)).is_err());
        }
    }

    #[test]
    fn of_what_others_note_on_an_object_nothing_is_kept() {
        let mut service = DynamicObject::new("parcels", &ApiResource::erase::<StoreService>(&()));
        service.managed_fields_mut().push(ManagedFieldsEntry::default());
        for annotation in [LAST_APPLIED, "greencommerce.dev/restart"] {
            service.annotations_mut().insert(annotation.to_owned(), "text".to_owned());
        }
        drop_bookkeeping(&mut service);
        assert!(service.managed_fields().is_empty());
        assert_eq!(service.annotations().keys().collect::<Vec<_>>(), ["greencommerce.dev/restart"]);
    }
}
