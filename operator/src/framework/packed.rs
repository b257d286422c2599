//! Objects as the cache keeps them: their JSON, compressed against another object of the kind.
//!
//! Decoded, an object takes ten times the room of its text, most of it for fields that nobody set, and the objects of one
//! store read much like those of any other. They are looked at only when they or their owners are reconciled, and decoded for
//! that; what they are found and counted by is kept beside them.

use std::{
    borrow::Cow,
    hash::{BuildHasher as _, RandomState},
    marker::PhantomData,
    sync::Arc,
};

use kube::{
    Resource,
    runtime::{
        reflector::{self, Lookup, ObjectRef},
        watcher::Event,
    },
};
use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Cached,
    digest::{Digest, Mark, Said},
    untyped::to_value,
};

/// An object that is decoded when it is asked for.
pub(crate) struct Packed<K> {
    namespace: Box<str>,
    name: Box<str>,
    /// A hash of each label and mark, by which most objects are passed over without a look inside.
    hashes: Box<[u64]>,
    said: Box<[Said]>,
    asleep: bool,
    text: Box<[u8]>,
    /// The JSON of the object that this one was compressed against (LZ4 calls it a dictionary).
    sample: Arc<[u8]>,
    kind: PhantomData<fn() -> K>,
}

/// What a watch has seen of one kind.
pub(crate) struct Reader<K: Resource<DynamicType = ()> + 'static> {
    objects: reflector::Store<Packed<K>>,
    hasher: RandomState,
}

/// The writing end of a [`Reader`].
pub(crate) struct Writer<K: Resource<DynamicType = ()> + 'static> {
    objects: reflector::store::Writer<Packed<K>>,
    hasher: RandomState,
    /// The first object of the last list: one of ours, like all that follow.
    sample: Option<Arc<[u8]>>,
}

impl<K: Resource<DynamicType = ()>> Default for Writer<K> {
    fn default() -> Self {
        Self { objects: reflector::store::Writer::default(), hasher: RandomState::new(), sample: None }
    }
}

impl<K: Cached> Writer<K> {
    pub(crate) fn as_reader(&self) -> Reader<K> {
        Reader { objects: self.objects.as_reader(), hasher: self.hasher.clone() }
    }

    /// Takes up one event of the watch.
    pub(crate) fn apply_watcher_event(&mut self, event: &Event<K>) {
        let packed = match event {
            Event::Apply(object) => Event::Apply(self.pack(object)),
            Event::Delete(object) => Event::Delete(self.pack(object)),
            Event::InitApply(object) => Event::InitApply(self.pack(object)),
            Event::Init => {
                // What the sample was made from may be long gone, and it may have been a Secret.
                self.sample = None;
                Event::Init
            }
            Event::InitDone => Event::InitDone,
        };
        self.objects.apply_watcher_event(&packed);
    }

    fn pack(&mut self, object: &K) -> Packed<K> {
        let text = to_value(object).to_string().into_bytes();
        let sample = self.sample.get_or_insert_with(|| text.as_slice().into()).clone();
        let meta = object.meta();
        let Digest { marks, said, asleep } = object.digest();
        let labels = meta.labels.iter().flatten().map(|label| self.hasher.hash_one(label));
        let marks = marks.iter().map(|mark| self.hasher.hash_one(mark));
        Packed {
            namespace: meta.namespace.as_deref().unwrap_or_default().into(),
            name: meta.name.as_deref().unwrap_or_default().into(),
            hashes: labels.chain(marks).collect(),
            said: said.into(),
            asleep,
            text: compress_prepend_size_with_dict(&text, &sample).into(),
            sample,
            kind: PhantomData,
        }
    }
}

impl<K: Cached> Reader<K> {
    /// The object of that name.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let key = ObjectRef::new(name).within(namespace);
        self.objects.get(&key).map(|packed| Arc::new(packed.unpack()))
    }

    /// Whether there is an object of that name.
    pub(super) fn holds(&self, namespace: &str, name: &str) -> bool {
        self.objects.get(&ObjectRef::new(name).within(namespace)).is_some()
    }

    /// The objects of a namespace that bear a label, in no order.
    pub(crate) fn labelled(&self, namespace: &str, label: &str, value: &str) -> Vec<Arc<K>> {
        let hash = self.hasher.hash_one((label, value));
        self.hashed(namespace, hash, |object| bears_label(object, label, value))
    }

    /// The objects of a namespace that are found by a mark, in no order.
    pub(crate) fn marked(&self, namespace: &str, mark: Mark, value: &str) -> Vec<Arc<K>> {
        let wanted = (mark, value.to_owned());
        self.hashed(namespace, self.hasher.hash_one(&wanted), |object| object.digest().marks.contains(&wanted))
    }

    /// Everything, packed.
    pub(super) fn all(&self) -> Vec<Arc<Packed<K>>> {
        self.objects.state()
    }

    /// Those with the hash that are what it stands for: two labels may have one.
    fn hashed(&self, namespace: &str, hash: u64, is_wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let mut found = self.objects.state();
        found.retain(|packed| &*packed.namespace == namespace && packed.hashes.contains(&hash));
        found.iter().map(|packed| packed.unpack()).filter(is_wanted).map(Arc::new).collect()
    }
}

/// Whether an object bears a label.
pub(super) fn bears_label<K: Resource>(object: &K, label: &str, value: &str) -> bool {
    object.meta().labels.as_ref().and_then(|labels| labels.get(label)).is_some_and(|held| held == value)
}

impl<K> Packed<K> {
    /// Its namespace and name.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// What it says of itself.
    pub(super) fn said(&self) -> &[Said] {
        &self.said
    }

    /// Whether it is to sleep.
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep
    }
}

impl<K: DeserializeOwned> Packed<K> {
    fn unpack(&self) -> K {
        let text = decompress_size_prepended_with_dict(&self.text, &self.sample).expect("it was compressed by us");
        let value: Value = serde_json::from_slice(&text).expect("it was written by us");
        K::deserialize(value).expect("it was written by us")
    }
}

impl<K> Clone for Packed<K> {
    fn clone(&self) -> Self {
        Self {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            hashes: self.hashes.clone(),
            said: self.said.clone(),
            asleep: self.asleep,
            text: self.text.clone(),
            sample: self.sample.clone(),
            kind: PhantomData,
        }
    }
}

impl<K: Resource<DynamicType = ()>> Lookup for Packed<K> {
    type DynamicType = ();

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn name(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.name))
    }

    fn namespace(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.namespace))
    }

    /// Nobody asks the key of the cache for it; the object has it.
    fn resource_version(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// As with the version.
    fn uid(&self) -> Option<Cow<'_, str>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
    use serde_json::json;

    use super::*;

    fn deployment(namespace: &str, name: &str, store: &str) -> Deployment {
        let container = json!({
            "name": "service", "image": format!("registry.example/{name}:1"), "args": [name],
            "ports": [{"name": "http", "containerPort": 8080}],
            "env": [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": name, "key": "uri"}}}],
            "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}},
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "ops"}, "periodSeconds": 2},
        });
        let labels = json!({"greencommerce.dev/store": store, "app.kubernetes.io/name": name});
        let spec = json!({
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        });
        let metadata = json!({
            "name": name, "namespace": namespace, "labels": labels, "uid": format!("{name}-in-{namespace}"),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn filled(objects: &[Deployment]) -> (Writer<Deployment>, Reader<Deployment>) {
        let mut writer = Writer::default();
        let store = writer.as_reader();
        for object in objects {
            writer.apply_watcher_event(&Event::Apply(object.clone()));
        }
        (writer, store)
    }

    #[test]
    fn what_goes_in_comes_out_as_it_was() {
        let objects = [deployment("green", "cart", "green"), deployment("green", "orders", "green")];
        let (_writer, store) = filled(&objects);
        for object in &objects {
            assert_eq!(*store.get("green", object.metadata.name.as_deref().unwrap()).unwrap(), *object);
        }
        assert!(store.get("elsewhere", "cart").is_none());
    }

    #[test]
    fn bytes_of_a_secret_come_out_as_they_were() {
        let secret = json!({"metadata": {"name": "login", "namespace": "green"}, "data": {"password": "AP8AgMM="}});
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let mut writer = Writer::default();
        let store = writer.as_reader();
        writer.apply_watcher_event(&Event::Apply(secret.clone()));
        assert_eq!(*store.get("green", "login").unwrap(), secret);
    }

    #[test]
    fn what_changes_is_kept_as_it_is_now_and_what_is_deleted_is_gone() {
        let before = deployment("green", "cart", "green");
        let (mut writer, store) = filled(std::slice::from_ref(&before));
        let mut after = before.clone();
        after.spec.replicas = Some(5);
        writer.apply_watcher_event(&Event::Apply(after.clone()));
        assert_eq!(*store.get("green", "cart").unwrap(), after);
        writer.apply_watcher_event(&Event::Delete(after));
        assert!(store.get("green", "cart").is_none());
    }

    #[test]
    fn a_list_of_the_watch_replaces_what_was_known() {
        let (mut writer, store) = filled(&[deployment("green", "cart", "green")]);
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitApply(deployment("green", "orders", "green")));
        assert!(store.get("green", "cart").is_some());
        writer.apply_watcher_event(&Event::InitDone);
        assert!(store.get("green", "cart").is_none() && store.get("green", "orders").is_some());
    }

    #[test]
    fn objects_are_found_by_a_label_within_their_namespace() {
        let objects = [
            deployment("green", "cart", "green"),
            deployment("green", "orders", "blue"),
            deployment("elsewhere", "cart", "green"),
        ];
        let (_writer, store) = filled(&objects);
        let found = store.labelled("green", "greencommerce.dev/store", "green");
        assert_eq!(found.iter().map(|object| &**object).collect::<Vec<_>>(), [&objects[0]]);
        assert!(store.labelled("green", "greencommerce.dev/store", "red").is_empty());
    }

    #[test]
    fn an_object_like_another_takes_a_fraction_of_its_text() {
        let (mut writer, _store) = filled(&[deployment("green", "cart", "green")]);
        let other = deployment("other", "orders", "other");
        let text = serde_json::to_vec(&other).unwrap();
        let packed = writer.pack(&other);
        assert!(packed.text.len() * 3 < text.len(), "{} of {}", packed.text.len(), text.len());
    }
}
