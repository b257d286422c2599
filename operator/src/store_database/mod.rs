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
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::runtime::controller::Action;

#[cfg(test)]
pub(crate) use self::tests::network_of;
use self::{
    error::Error,
    rotate::Progress,
    sql::{Outcome, Server},
    status::ServerState,
    validate::{Mode, Validated},
};
use crate::{
    framework::{
        Context, Reconciler, Wake, converse, followed, hold_back, is_as_described, of_server, patience, reach,
        steady_pace, unready_for, write_status,
    },
    refused::{self, Podless},
    storage::CLASS_POLL,
};

/// How soon to look again whether what stands in the way of a new password has gone: the one in use stays in force.
const IN_THE_WAY: Duration = Duration::from_mins(1);

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
        hold_back(context, &*database, database.spec.deletion_policy).await?;
        let reads = dereference::dereference(context, &database).await?;
        let superuser = apply::Superuser::of(&reads);
        let validated = validate::validate(&database, reads)?;
        // Nobody owns a Secret: one that is made for a resource which has gone meanwhile would stay.
        if apply::makes_a_secret(&validated, &superuser) && !is_as_described(context, &*database).await? {
            return Ok(Action::await_change());
        }
        let changed = apply::children(context, &database, &validated, &superuser).await?;
        apply::tell_of_lost_logins(context, &database, &validated).await;
        let (server, podless) = server_state(context, &validated, changed).await;
        let (outcome, progress) = if server.serves() {
            let server = validated.server();
            let address = server.address();
            reach(context, std::slice::from_ref(&address), validated.mode.refused()).await?;
            let patience = patience(database.status.as_ref(), ConditionType::ServerReady, Reason::DatabaseUnreachable);
            let span = of_server("ensure", &server.host, server.port);
            let conversation = async {
                let outcome =
                    sql::ensure(&context.gate, &Server { patience, ..server }, &validated.tenancy(), &validated.logins)
                        .await?;
                let progress = rotate::advance(context, &validated, &outcome).await?;
                Ok::<_, Error>((Some(outcome), progress))
            };
            let said = converse(context, &address, Box::pin(followed(span, conversation))).await??;
            context.vigil.served(&[address], Wake::of(&*database));
            said
        } else {
            (None, Progress::default())
        };
        let (status, findings) = status::status(&validated, &server, outcome.as_ref(), &progress);
        write_status(context, &*database, status, findings).await?;
        let now = context.clock.now();
        let look = next_look(
            &validated,
            outcome.as_ref(),
            &progress,
            now,
            unready_for(database.status.as_ref(), ConditionType::Ready, now),
        );
        Ok(podless.map_or(look, |podless| Action::requeue(podless.look_again)))
    }
}

/// When to look again. A server that is as described is looked at on the rounds, and when a password gets too old.
fn next_look(
    of: &Validated,
    outcome: Option<&Outcome>,
    progress: &Progress,
    now: Timestamp,
    unready: Duration,
) -> Action {
    if progress.under_way() {
        return Action::requeue(ROTATING);
    }
    if of.waits_for_its_class() {
        return Action::requeue(CLASS_POLL);
    }
    if outcome.is_some_and(|outcome| outcome.values().any(Result::is_err)) {
        return Action::requeue(steady_pace(unready));
    }
    if !progress.blocked.is_empty() {
        return Action::requeue(IN_THE_WAY);
    }
    // Of a server that was not looked at nothing can be replaced, however old it gets: its own change tells when it is there.
    let due =
        outcome.and_then(|_| of.credentials.values().filter_map(|held| rotation::due_in(&of.wish, held, now)).min());
    due.map_or_else(Action::await_change, Action::requeue)
}

/// The state of the server, and when its pod is to be looked for again, if it should have one and has none. One that is refused
/// is tried again.
async fn server_state(context: &Context, validated: &Validated, changed: bool) -> (ServerState, Option<Podless>) {
    match validated.mode {
        Mode::External(_) if validated.suspend => (ServerState::resting(), None),
        Mode::External(_) => (ServerState::Ready, None),
        Mode::Managed(_) => {
            let stateful_set = context.cache.get::<StatefulSet>(&validated.namespace, &validated.names.server());
            let pods = context.cache.labelled::<Pod>(&validated.namespace, label::DATABASE, &validated.name);
            if validated.suspend {
                return (ServerState::of_suspended(stateful_set.as_deref(), changed), None);
            }
            let podless = match stateful_set.as_deref() {
                Some(set) => refused::of_set(context, set, &pods).await,
                None => None,
            };
            if let Some(set) = stateful_set.as_deref().filter(|_| podless.as_ref().is_some_and(Podless::is_refused)) {
                refused::try_again(context, set).await;
            }
            let server = ServerState::of_managed(stateful_set.as_deref(), pods.iter().map(|pod| &**pod), changed);
            (server.unless_refused(podless.as_ref()), podless)
        }
    }
}
