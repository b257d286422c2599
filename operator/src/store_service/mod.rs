//! StoreService: a Deployment with what belongs to it.

mod apply;
mod build;
mod dereference;
mod error;
mod status;
mod validate;

use std::{sync::Arc, time::Duration};

use api::{ConditionType, StoreService};
use kube::runtime::controller::Action;

use self::{dereference::Secret, error::StoreServiceError};
use crate::framework::{Context, Reconciler, write_status};

/// A Secret without our label is watched by nobody: it is looked at again after this time.
const UNWATCHED_SECRET: Duration = Duration::from_mins(1);

/// Makes the cluster hold what a StoreService describes.
pub(crate) struct StoreServiceReconciler;

impl Reconciler for StoreServiceReconciler {
    type Object = StoreService;
    type Error = StoreServiceError;

    const NAME: &'static str = "store_service";

    async fn reconcile(&self, context: &Context, service: Arc<StoreService>) -> Result<Action, StoreServiceError> {
        if service.metadata.deletion_timestamp.is_some() {
            // Every child is owned by the service, and goes with it.
            return Ok(Action::await_change());
        }
        let seen = dereference::dereference(context, &service).await?;
        let validated = validate::validate(&service, &seen)?;
        let children = build::build(&validated);
        let wrote = apply::apply(context, &seen, children).await?;
        let (status, findings) = status::derive(&validated, &seen, service.status.as_ref(), wrote, context.clock.now());
        let waits = findings.iter().any(|finding| !finding.holds && finding.condition == ConditionType::Ready);
        write_status(context, &*service, status, findings).await?;
        Ok(match seen.secret {
            Some(Secret { watched: false, .. }) => Action::requeue(UNWATCHED_SECRET),
            // A probe that fails for long is told by the clock alone.
            _ if waits => Action::requeue(status::PATIENCE.unsigned_abs()),
            _ => Action::await_change(),
        })
    }
}
