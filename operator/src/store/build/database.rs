//! The databases.

use api::{ANNOTATION_ROTATE, NamedDatabase, ServiceName, StoreDatabase, StoreDatabaseSpec};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Validated, meta};
use crate::{
    framework::labels,
    store::{names::has_database, plan::Plan},
};

/// Databases that a StoreDatabase may have: what goes beyond that waits, rather than stop the store.
const MOST: usize = 32;

/// A database for each service that has one, a disabled one too, and for each guest that asked for one.
pub(super) fn database(of: &Validated, plan: &Plan) -> StoreDatabase {
    let own = ServiceName::ALL.into_iter().filter(|service| has_database(*service)).map(ServiceName::as_str);
    let mut names = of.held_databases.clone();
    names.extend(own.map(str::to_owned));
    let room = MOST.saturating_sub(names.len());
    let asked = of.given.databases().filter(|asked| !of.held_databases.contains(*asked));
    names.extend(asked.take(room).map(str::to_owned));
    let annotations = of.rotate.as_ref().map(|value| labels([(ANNOTATION_ROTATE, value)]));
    StoreDatabase {
        metadata: ObjectMeta { annotations, ..meta(of, of.names.store().to_owned(), "postgres", "database") },
        spec: StoreDatabaseSpec {
            managed: of.database.managed.clone(),
            external: of.database.external.clone(),
            databases: names.into_iter().map(|name| NamedDatabase { name }).collect(),
            password_rotation: of.database.password_rotation.clone(),
            deletion_policy: of.deletion_policy,
            adopt_retained_data: of.adopt_retained_data,
            suspend: plan.data_sleeps,
        },
        status: None,
    }
}
