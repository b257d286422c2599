//! StoreDatabase: a PostgreSQL server, or a place on one, with a database and a login role per service.

mod apply;
mod build;
mod credential;
mod dereference;
mod error;
mod finalize;
mod names;
mod rotate;
mod rotation;
pub mod sql;
mod status;
#[cfg(test)]
mod tests;
mod validate;

use std::{sync::Arc, time::Duration};

use api::{ConditionType, Reason, StoreDatabase, label};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::runtime::controller::Action;

#[cfg(test)]
pub(crate) use self::tests::network_of;
use self::{
    error::Error,
    rotate::Progress,
    sql::Server,
    status::ServerState,
    validate::{Mode, Validated},
};
use crate::framework::{Context, Reconciler, add_finalizer, followed, of_server, patience, reach, write_status};

/// How often the server is looked at again: nothing tells when somebody changes it by hand.
const RESYNC: Duration = Duration::from_mins(1);

/// How often a rotation is looked at: pods and connections that end wake their service, not the database.
const ROTATING: Duration = Duration::from_secs(3);

/// The StoreDatabase controller.
pub(crate) struct StoreDatabaseReconciler;

impl Reconciler for StoreDatabaseReconciler {
    type Object = StoreDatabase;
    type Error = Error;

    const NAME: &'static str = "store_database";

    async fn reconcile(&self, context: &Context, database: Arc<StoreDatabase>) -> Result<Action, Error> {
        if database.metadata.deletion_timestamp.is_some() {
            finalize::finalize(context, &database).await?;
            return Ok(Action::await_change());
        }
        add_finalizer(context, &*database).await?;
        let reads = dereference::dereference(context, &database).await?;
        let superuser = apply::Superuser::of(&reads);
        let validated = validate::validate(&database, reads)?;
        let changed = apply::children(context, &database, &validated, &superuser).await?;
        apply::tell_of_lost_logins(context, &database, &validated).await;
        let server = server_state(context, &validated, changed);
        let (outcome, progress) = if server.serves() {
            let server = validated.server();
            reach(context, &[server.address()], validated.mode.refused()).await?;
            let patience = patience(database.status.as_ref(), ConditionType::ServerReady, Reason::DatabaseUnreachable);
            let span = of_server("ensure", &server.host, server.port);
            let conversation = async {
                let outcome =
                    sql::ensure(&Server { patience, ..server }, &validated.tenancy(), &validated.logins).await?;
                let progress = rotate::advance(context, &validated, &outcome).await?;
                Ok::<_, Error>((Some(outcome), progress))
            };
            context.gate.guard(Box::pin(followed(span, conversation))).await??
        } else {
            (None, Progress::default())
        };
        let (status, findings) = status::status(&validated, &server, outcome.as_ref(), &progress);
        write_status(context, &*database, status, findings).await?;
        Ok(Action::requeue(if progress.under_way() { ROTATING } else { RESYNC }))
    }
}

fn server_state(context: &Context, validated: &Validated, changed: bool) -> ServerState {
    match validated.mode {
        Mode::External(_) if validated.suspend => ServerState::resting(),
        Mode::External(_) => ServerState::Ready,
        Mode::Managed(_) => {
            let stateful_set = context.cache.get::<StatefulSet>(&validated.namespace, &validated.names.server());
            let pods = context.cache.labelled::<Pod>(&validated.namespace, label::DATABASE, &validated.name);
            if validated.suspend {
                return ServerState::of_suspended(stateful_set.as_deref(), changed);
            }
            ServerState::of_managed(stateful_set.as_deref(), pods.iter().map(|pod| &**pod), changed)
        }
    }
}
