//! The databases.

use api::{ANNOTATION_ROTATE, NamedDatabase, ServiceName, StoreDatabase, StoreDatabaseSpec};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Validated, meta};
use crate::{
    framework::labels,
    store::{names::has_database, plan::Plan},
};

/// A database for each service that has one. A disabled service keeps its own.
pub(super) fn database(of: &Validated, plan: &Plan) -> StoreDatabase {
    let mut names: Vec<&str> =
        ServiceName::ALL.into_iter().filter(|service| has_database(*service)).map(ServiceName::as_str).collect();
    names.sort_unstable();
    let annotations = of.rotate.as_ref().map(|value| labels([(ANNOTATION_ROTATE, value)]));
    StoreDatabase {
        metadata: ObjectMeta { annotations, ..meta(of, of.names.store().to_owned(), "postgres", "database") },
        spec: StoreDatabaseSpec {
            managed: of.database.managed.clone(),
            external: of.database.external.clone(),
            databases: names.into_iter().map(|name| NamedDatabase { name: name.to_owned() }).collect(),
            password_rotation: of.database.password_rotation.clone(),
            deletion_policy: of.deletion_policy,
            suspend: plan.data_sleeps,
        },
        status: None,
    }
}
