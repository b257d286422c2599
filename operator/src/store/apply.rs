//! Step 4: writing what differs.

use api::ServiceName;
use kube::ResourceExt;

use super::{
    build::{Children, DataServer},
    dereference::Seen,
    plan::{Plan, obsolete_jobs},
    validate::Validated,
};
use crate::framework::{ApplyError, Context, apply as apply_child, delete};

/// What was written: the cache is older than that, so nothing it shows of it counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrote {
    pub(super) database: bool,
    pub(super) kafka: bool,
    pub(super) topics: bool,
    pub(super) cache: bool,
    pub(super) migrations: bool,
    pub(super) services: bool,
}

/// Makes the cluster hold the children.
pub(super) async fn apply(
    context: &Context,
    of: &Validated,
    seen: &Seen,
    plan: &Plan,
    children: Children,
) -> Result<Wrote, ApplyError> {
    let mut wrote = Wrote { database: apply_child(context, children.database).await?, ..Wrote::default() };
    wrote.kafka = apply_child(context, children.kafka.config).await?;
    wrote.kafka |= server(context, children.kafka.server).await?;
    wrote.cache = server(context, children.cache).await?;
    for topic in children.topics {
        wrote.topics |= apply_child(context, topic).await?;
    }
    // A Job is never changed: what it was made from cannot change either.
    for job in children.migrations {
        if !seen.jobs.iter().any(|live| live.name_any() == job.name_any()) {
            wrote.migrations |= apply_child(context, job).await?;
        }
    }
    match (children.routes, &seen.routes) {
        (Some(routes), _) => wrote.services |= apply_child(context, routes).await?,
        (None, Some(left)) => wrote.services |= delete(context, &**left).await?,
        (None, None) => {}
    }
    for service in children.services {
        wrote.services |= apply_child(context, service).await?;
    }
    wrote.services |= delete_disabled(context, of, seen).await?;
    for job in obsolete_jobs(plan, seen, &of.names) {
        delete(context, job).await?;
    }
    Ok(wrote)
}

async fn server(context: &Context, server: DataServer) -> Result<bool, ApplyError> {
    let mut wrote = apply_child(context, server.volume).await?;
    for service in server.services {
        wrote |= apply_child(context, service).await?;
    }
    wrote |= apply_child(context, server.stateful_set).await?;
    Ok(wrote)
}

async fn delete_disabled(context: &Context, of: &Validated, seen: &Seen) -> Result<bool, ApplyError> {
    let mut wrote = false;
    let disabled = |name: &&ServiceName| !of.services.contains_key(name);
    for name in seen.services.keys().filter(disabled) {
        wrote |= delete(context, &*seen.services[name]).await?;
    }
    Ok(wrote)
}
