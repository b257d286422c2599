//! Store: the data of a shop, its migrations and its services.

mod apply;
mod build;
mod delete;
mod dereference;
mod error;
mod names;
mod plan;
mod status;
mod validate;

use std::sync::Arc;

use api::Store;
use kube::runtime::controller::Action;

use self::error::StoreError;
use crate::framework::{Context, Reconciler, add_finalizer, write_status};

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
        let seen = dereference::dereference(context, &store).await?;
        let validated = validate::validate(&store, &seen)?;
        let plan = plan::plan(&validated, &seen);
        let children = build::build(&validated, &plan);
        // Before there is anything to be held back for.
        add_finalizer(context, &*store).await?;
        // The children are many and large: they need not live in every reconciliation that waits.
        let wrote = Box::pin(apply::apply(context, &validated, &seen, &plan, children)).await?;
        let (status, findings) = status::derive(&validated, &seen, &plan, store.status.as_ref(), &wrote);
        write_status(context, &*store, status, findings).await?;
        Ok(Action::await_change())
    }
}
