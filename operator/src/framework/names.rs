//! Names and labels of objects.

use std::collections::BTreeMap;

use api::{MANAGED_BY, label};
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};

/// The namespace of a namespaced object.
pub(crate) fn namespace<K: Resource>(object: &K) -> &str {
    object.meta().namespace.as_deref().unwrap_or_default()
}

/// The reference by which caches know an object.
pub(crate) fn key<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> ObjectRef<K> {
    ObjectRef::new(name).within(namespace)
}

/// A host as every namespace finds it: a name without dots is that of a Service in `namespace`.
pub(crate) fn host_in(namespace: &str, host: &str) -> String {
    if host.contains(['.', ':']) { host.to_owned() } else { format!("{host}.{namespace}.svc") }
}

/// The labels that every object of a store carries. `name` is the service or part, `component` its role.
pub(crate) fn standard_labels(store: &str, name: &str, component: &str) -> BTreeMap<String, String> {
    labels([
        (label::NAME, name),
        (label::INSTANCE, store),
        (label::COMPONENT, component),
        (label::MANAGED_BY, MANAGED_BY),
        (label::STORE, store),
    ])
}

/// A map of labels or annotations.
pub(crate) fn labels<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// `namespace/name`, for messages.
pub(crate) fn describe<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{} {}/{}", K::kind(&()), namespace(object), object.name_any())
}
