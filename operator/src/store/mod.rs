//! Store: the data of a shop, its migrations and its services.

mod apply;
mod build;
mod delete;
mod dereference;
mod error;
mod external;
mod migration;
mod names;
mod plan;
mod sleep;
mod status;
mod upgrade;
mod validate;
mod verdict;

use std::{sync::Arc, time::Duration};

use api::{DeletionPolicy, Store};
use kube::{ResourceExt, runtime::controller::Action};

#[cfg(test)]
pub(crate) use self::build::parts::network_of;
use self::{apply::Part, error::StoreError};
pub(crate) use self::{external::changed, sleep::sleeps};
use crate::{
    framework::{Context, Reconciler, add_finalizer, namespace, remove_finalizer, write_status},
    storage::CLASS_POLL,
};

/// How long the services that were just written have the API server for themselves, before it is told how far the store
/// is. Half of the time from a change to new pods is the API server's, and a status is a large write that nobody waits for.
const COURTESY: Duration = Duration::from_millis(50);

/// Makes the cluster hold what a Store describes.
pub(crate) struct StoreReconciler;

impl Reconciler for StoreReconciler {
    type Object = Store;
    type Error = StoreError;

    const NAME: &'static str = "store";

    async fn reconcile(&self, context: &Context, store: Arc<Store>) -> Result<Action, StoreError> {
        if store.metadata.deletion_timestamp.is_some() {
            delete::delete(context, &store).await?;
            return Ok(Action::await_change());
        }
        let external = external::cache(context, &store).await?;
        // To ask a cache may take a while, and what has been written meanwhile counts.
        let store = context.cache.get(namespace(&*store), &store.name_any()).unwrap_or(store);
        if store.metadata.deletion_timestamp.is_some() {
            return Ok(Action::requeue(Duration::ZERO));
        }
        let seen = dereference::dereference(context, &store, external).await?;
        let validated = validate::validate(&store, &seen)?;
        let course = upgrade::course(&validated, store.status.as_ref());
        let plan = plan::plan(&validated, &seen, course);
        // Before there is anything to be held back for.
        if store.spec.deletion_policy == DeletionPolicy::Delete {
            add_finalizer(context, &*store).await?;
        }
        let children = build::build(&validated, &plan);
        // The children are many and large: they need not live in every reconciliation that waits.
        let wrote = Box::pin(apply::apply(context, &store, &validated, &seen, &plan, children)).await?;
        if store.spec.deletion_policy == DeletionPolicy::Retain {
            // Now its database and its topics know, too.
            remove_finalizer(context, &*store).await?;
        }
        if wrote.any_of(Part::Services) {
            context.pause(COURTESY).await;
        }
        let before = store.status.as_ref();
        let (status, findings) = status::derive(&validated, &seen, &plan, before, &wrote, context.clock.now());
        write_status(context, &*store, status, findings).await?;
        let unseen = validated.servers().any(|(_, server)| server.claim.state.waits_for_its_class());
        let looks = [plan::look_again(&plan, &seen), external::look_again(&store, &seen), unseen.then_some(CLASS_POLL)];
        let look = looks.into_iter().flatten().min();
        Ok(look.map_or_else(Action::await_change, Action::requeue))
    }
}

#[cfg(test)]
mod tests;
