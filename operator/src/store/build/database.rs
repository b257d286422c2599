//! The databases.

use api::{NamedDatabase, ServiceName, StoreDatabase, StoreDatabaseSpec};

use super::{Validated, meta};
use crate::store::{names::has_database, plan::Plan};

/// A database for each service that has one. A disabled service keeps its own.
pub(super) fn database(of: &Validated, plan: &Plan) -> StoreDatabase {
    let mut names: Vec<&str> =
        ServiceName::ALL.into_iter().filter(|service| has_database(*service)).map(ServiceName::as_str).collect();
    names.sort_unstable();
    StoreDatabase {
        metadata: meta(of, of.names.store().to_owned(), "postgres", "database"),
        spec: StoreDatabaseSpec {
            managed: of.database.managed.clone(),
            external: of.database.external.clone(),
            databases: names.into_iter().map(|name| NamedDatabase { name: name.to_owned() }).collect(),
            deletion_policy: of.deletion_policy,
            suspend: plan.data_sleeps,
        },
        status: None,
    }
}
