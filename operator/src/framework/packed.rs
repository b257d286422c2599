//! Objects as the cache keeps them: their JSON, compressed against another object of the kind.
//!
//! Decoded, an object takes ten times the room of its text, most of it for fields that nobody set, and the objects of one
//! store read much like those of any other. They are looked at only when they or their owners are reconciled, and decoded for
//! that; what they are found and counted by is kept beside them.

use std::{
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    sync::Arc,
};

use kube::{Resource, runtime::watcher::Event};
use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Cached,
    digest::{Digest, Mark, Said},
    shelf::{self, Keyed, Shelf},
    untyped::to_value,
};

/// Objects of a kind that others are compressed against, at most.
const SAMPLES: usize = 24;
/// An object that does not get smaller than its text by this factor is unlike every sample, and becomes one.
const LIKENESS: usize = 8;

/// An object that is decoded when it is asked for.
pub(crate) struct Packed<K> {
    key: Box<str>,
    hashes: Hashes,
    said: Box<[Said]>,
    asleep: bool,
    text: Box<[u8]>,
    /// What the text was compressed against.
    sample: Arc<Sample>,
    kind: PhantomData<fn() -> K>,
}

/// A hash of each label and mark, by which most objects are passed over without a look inside.
type Hashes = Box<[u32]>;

/// The JSON of an object (LZ4 calls it a dictionary).
struct Sample {
    hashes: Hashes,
    text: Box<[u8]>,
}

/// What a watch has seen of one kind.
pub(crate) struct Reader<K> {
    objects: Arc<Shelf<Packed<K>>>,
    hasher: RandomState,
}

/// The writing end of a [`Reader`].
pub(crate) struct Writer<K> {
    objects: Arc<Shelf<Packed<K>>>,
    hasher: RandomState,
    /// Objects of ours, like all that follow.
    samples: Vec<Arc<Sample>>,
    /// What a list has told so far.
    listed: Vec<Packed<K>>,
}

impl<K> Default for Writer<K> {
    fn default() -> Self {
        Self { objects: Arc::default(), hasher: RandomState::new(), samples: Vec::new(), listed: Vec::new() }
    }
}

impl<K: Cached> Writer<K> {
    pub(crate) fn as_reader(&self) -> Reader<K> {
        Reader { objects: self.objects.clone(), hasher: self.hasher.clone() }
    }

    /// Takes up one event of the watch.
    pub(crate) fn apply_watcher_event(&mut self, event: &Event<K>) {
        match event {
            Event::Apply(object) => {
                let packed = self.pack(object);
                self.objects.put(packed);
            }
            Event::Delete(object) => {
                let (namespace, name) = names(object);
                self.objects.remove(namespace, name);
            }
            Event::Init => {
                // What the samples were made from may be long gone, and it may have been Secrets.
                self.samples.clear();
                self.listed.clear();
            }
            Event::InitApply(object) => {
                let packed = self.pack(object);
                self.listed.push(packed);
            }
            Event::InitDone => self.objects.replace(std::mem::take(&mut self.listed)),
        }
    }

    fn pack(&mut self, object: &K) -> Packed<K> {
        let json = to_value(object).to_string();
        let Digest { marks, said, asleep } = object.digest();
        let labels = object.meta().labels.iter().flatten().map(|label| hash(&self.hasher, label));
        let hashes: Hashes = labels.chain(marks.iter().map(|mark| hash(&self.hasher, mark))).collect();
        let (sample, text) = self.compress(json.as_bytes(), &hashes);
        let (namespace, name) = names(object);
        let key = shelf::key(namespace, name).into();
        Packed { key, hashes, said: said.into(), asleep, text, sample, kind: PhantomData }
    }

    /// The text in short, and what it was compressed against.
    fn compress(&mut self, json: &[u8], hashes: &Hashes) -> (Arc<Sample>, Box<[u8]>) {
        let nearest = self.samples.iter().max_by_key(|sample| in_common(&sample.hashes, hashes)).cloned();
        let against = |sample: Arc<Sample>| {
            let text = compress_prepend_size_with_dict(json, &sample.text);
            // A copy of its own: what is left of a large block that only shrinks is of little use to anybody.
            (sample, text.as_slice().into())
        };
        let is_full = self.samples.len() == SAMPLES;
        let short =
            nearest.map(against).filter(|(_, text): &(_, Box<[u8]>)| is_full || text.len() * LIKENESS <= json.len());
        short.unwrap_or_else(|| {
            let sample = Arc::new(Sample { hashes: hashes.clone(), text: json.into() });
            self.samples.push(sample.clone());
            against(sample)
        })
    }
}

/// Namespace and name.
fn names<K: Resource>(object: &K) -> (&str, &str) {
    let meta = object.meta();
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

/// Half of a hash is enough: what it finds is looked at.
#[expect(clippy::cast_possible_truncation, reason = "see above")]
fn hash<T: std::hash::Hash>(hasher: &RandomState, value: T) -> u32 {
    hasher.hash_one(value) as u32
}

fn in_common(one: &[u32], other: &[u32]) -> usize {
    one.iter().filter(|hash| other.contains(hash)).count()
}

impl<K: Cached> Reader<K> {
    /// The object of that name.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.objects.get(namespace, name).map(|packed| Arc::new(packed.unpack()))
    }

    /// The same as JSON.
    pub(super) fn body(&self, namespace: &str, name: &str) -> Option<Value> {
        self.objects.get(namespace, name).map(|packed| packed.body())
    }

    /// Whether there is an object of that name.
    pub(super) fn holds(&self, namespace: &str, name: &str) -> bool {
        self.objects.get(namespace, name).is_some()
    }

    /// The objects of a namespace that bear a label, in the order of their names.
    pub(crate) fn labelled(&self, namespace: &str, label: &str, value: &str) -> Vec<Arc<K>> {
        let hash = hash(&self.hasher, (label, value));
        self.hashed(namespace, hash, |object| bears_label(object, label, value))
    }

    /// The objects of a namespace that are found by a mark, in the order of their names.
    pub(crate) fn marked(&self, namespace: &str, mark: Mark, value: &str) -> Vec<Arc<K>> {
        let wanted = (mark, value.to_owned());
        self.hashed(namespace, hash(&self.hasher, &wanted), |object| object.digest().marks.contains(&wanted))
    }

    /// The objects of a namespace, in the order of their names.
    pub(crate) fn within(&self, namespace: &str) -> Vec<Arc<K>> {
        self.objects.within(namespace, |_| true).iter().map(|packed| Arc::new(packed.unpack())).collect()
    }

    /// The objects of a namespace that say such a thing of themselves, packed.
    pub(super) fn saying(&self, namespace: &str, what: impl Fn(&Said) -> bool) -> Vec<Arc<Packed<K>>> {
        self.objects.within(namespace, |packed| packed.said.iter().any(&what))
    }

    /// Everything, packed.
    pub(super) fn all(&self) -> Vec<Arc<Packed<K>>> {
        self.objects.all()
    }

    /// Those with the hash that are what it stands for: two labels may have one.
    fn hashed(&self, namespace: &str, hash: u32, is_wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let found = self.objects.within(namespace, |packed| packed.hashes.contains(&hash));
        found.iter().map(|packed| packed.unpack()).filter(is_wanted).map(Arc::new).collect()
    }
}

/// Whether an object bears a label.
pub(super) fn bears_label<K: Resource>(object: &K, label: &str, value: &str) -> bool {
    object.meta().labels.as_ref().and_then(|labels| labels.get(label)).is_some_and(|held| held == value)
}

impl<K> Packed<K> {
    /// Its namespace and name.
    pub(super) fn names(&self) -> (&str, &str) {
        self.key.split_once('/').unwrap_or_default()
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

impl<K> Keyed for Packed<K> {
    fn key(&self) -> &str {
        &self.key
    }
}

impl<K: DeserializeOwned> Packed<K> {
    fn unpack(&self) -> K {
        K::deserialize(self.body()).expect("it was written by us")
    }

    fn body(&self) -> Value {
        let text = decompress_size_prepended_with_dict(&self.text, &self.sample.text).expect("it was compressed by us");
        serde_json::from_slice(&text).expect("it was written by us")
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
        let (mut writer, _reader) = filled(&[deployment("green", "cart", "green")]);
        let other = deployment("other", "orders", "other");
        let text = serde_json::to_vec(&other).unwrap();
        let packed = writer.pack(&other);
        assert!(packed.text.len() * 3 < text.len(), "{} of {}", packed.text.len(), text.len());
    }

    #[test]
    fn an_object_unlike_all_before_becomes_a_sample_and_those_like_it_are_compressed_against_it() {
        let job = |namespace: &str| {
            // Knuth's generator: text in which nothing comes twice.
            let numbers = std::iter::successors(Some(1_u64), |n| {
                Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
            });
            let noise: Vec<String> = numbers.take(100).map(|n| n.to_string()).collect();
            let mut job = deployment(namespace, "job", namespace);
            job.metadata.labels.get_or_insert_default().insert("kind-of".to_owned(), "job".to_owned());
            job.metadata.annotations = Some([("noise".to_owned(), noise.concat())].into());
            job
        };
        let (mut writer, reader) = filled(&[deployment("green", "cart", "green"), job("green")]);
        let (cart, first) = (reader.objects.get("green", "cart").unwrap(), reader.objects.get("green", "job").unwrap());
        assert!(!Arc::ptr_eq(&cart.sample, &first.sample));
        let second = writer.pack(&job("blue"));
        assert!(Arc::ptr_eq(&second.sample, &first.sample));
        assert_eq!(second.unpack(), job("blue"));
        assert!(Arc::ptr_eq(&writer.pack(&deployment("blue", "cart", "blue")).sample, &cart.sample));
    }
}
