//! Labels of a database's children.

use std::collections::BTreeMap;

use crate::store_database::validate::Validated;

type Labels = BTreeMap<String, String>;

/// Labels of everything that belongs to the resource.
pub(super) fn all(of: &Validated) -> Labels {
    labels([
        ("app.kubernetes.io/name", "postgres"),
        ("app.kubernetes.io/instance", &of.store),
        ("app.kubernetes.io/component", "database"),
        ("app.kubernetes.io/managed-by", "greencommerce"),
        ("greencommerce.dev/store", &of.store),
        ("greencommerce.dev/database", &of.name),
    ])
}

/// Labels of the server, its Pod, Service and volume.
pub(super) fn server(of: &Validated) -> Labels {
    let mut labels = all(of);
    labels.insert("greencommerce.dev/tier".to_owned(), "data".to_owned());
    labels
}

/// Labels that select the server's Pod. A StatefulSet's selector can never change.
pub(super) fn server_selector(of: &Validated) -> Labels {
    labels([("app.kubernetes.io/name", "postgres"), ("greencommerce.dev/database", &of.name)])
}

/// Labels that select the Pods of all servers that hold the store's data.
pub(super) fn data_tier(of: &Validated) -> Labels {
    labels([("greencommerce.dev/store", &of.store), ("greencommerce.dev/tier", "data")])
}

fn labels<const N: usize>(entries: [(&str, &str); N]) -> Labels {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
