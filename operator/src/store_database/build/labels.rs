//! Labels of a database's children.

use std::collections::BTreeMap;

use api::label;

use crate::{
    framework::{labels, standard_labels},
    store_database::validate::Validated,
};

type Labels = BTreeMap<String, String>;

const NAME: &str = "postgres";
const DATA: &str = "data";

/// Labels of everything that belongs to the resource.
pub(super) fn all(of: &Validated) -> Labels {
    let mut all = standard_labels(&of.store, NAME, "database");
    all.insert(label::DATABASE.to_owned(), of.name.clone());
    all
}

/// Labels of the server, its Pod, Service and volume.
pub(super) fn server(of: &Validated) -> Labels {
    let mut server = all(of);
    server.insert(label::TIER.to_owned(), DATA.to_owned());
    server
}

/// Labels that select the server's Pod. A StatefulSet's selector can never change.
pub(super) fn server_selector(of: &Validated) -> Labels {
    labels([(label::NAME, NAME), (label::DATABASE, &of.name)])
}

/// Labels that select the Pods of all servers that hold the store's data.
pub(super) fn data_tier(of: &Validated) -> Labels {
    labels([(label::STORE, &of.store), (label::TIER, DATA)])
}
