//! Step 4: writing what differs.

use std::collections::BTreeSet;

use api::{ServiceName, Store};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    build::{Children, DataServer},
    dereference::{Seen, Server},
    migration::{ANNOTATION_STARTED, to_be_noted},
    plan::{Plan, given_up, obsolete_jobs},
    validate::Validated,
};
use crate::{
    framework::{ApplyError, Context, apply as apply_child, delete, namespace, objects},
    guests::is_of_users,
    refused::{self, Podless},
    storage,
};

/// A part of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Database,
    Kafka,
    Topics,
    Cache,
    Services,
}

/// The parts that were written: the cache is older than that, so nothing it shows of them counts as done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrote(BTreeSet<Part>);

impl Wrote {
    pub(super) fn any_of(&self, part: Part) -> bool {
        self.0.contains(&part)
    }

    fn note(&mut self, part: Part, wrote: bool) {
        if wrote {
            self.0.insert(part);
        }
    }
}

#[cfg(test)]
impl From<Part> for Wrote {
    fn from(part: Part) -> Self {
        Self([part].into())
    }
}

/// Makes the cluster hold the children.
pub(super) async fn apply(
    context: &Context,
    store: &Store,
    of: &Validated,
    seen: &Seen,
    plan: &Plan,
    children: Children,
) -> Result<Wrote, ApplyError> {
    let mut wrote = Wrote::default();
    // Before there is a pod that they are about.
    for policy in children.policies {
        apply_child(context, policy).await?;
    }
    wrote.note(Part::Database, apply_child(context, children.database).await?);
    if let Some(kafka) = children.kafka {
        wrote.note(Part::Kafka, apply_child(context, kafka.config).await?);
        wrote.note(Part::Kafka, Box::pin(server(context, store, &seen.kafka, kafka.server)).await?);
    }
    if let Some(cache) = children.cache {
        wrote.note(Part::Cache, Box::pin(server(context, store, &seen.cache, cache)).await?);
    }
    for topic in children.topics {
        wrote.note(Part::Topics, apply_child(context, topic).await?);
    }
    // A Job is never changed: what it was made from cannot change either.
    for job in children.migrations {
        if !seen.jobs.iter().any(|live| live.name_any() == job.name_any()) {
            apply_child(context, job).await?;
        }
    }
    match (children.routes, &seen.routes) {
        (Some(routes), _) => wrote.note(Part::Services, apply_child(context, routes).await?),
        (None, Some(left)) => wrote.note(Part::Services, delete(context, store, &**left).await?),
        (None, None) => {}
    }
    for service in children.services {
        wrote.note(Part::Services, apply_child(context, service).await?);
    }
    wrote.note(Part::Services, delete_disabled(context, store, of, seen).await?);
    for job in obsolete_jobs(plan, seen, &of.names) {
        delete(context, store, job).await?;
    }
    // Another comes when it is seen to be gone.
    for job in given_up(plan, seen) {
        delete(context, store, job).await?;
    }
    for (job, since) in to_be_noted(seen) {
        note_start(context, job, since).await?;
    }
    try_again(context, seen).await;
    Ok(wrote)
}

/// Has refused pods of servers and migrations tried again.
async fn try_again(context: &Context, seen: &Seen) {
    for server in [&seen.kafka, &seen.cache].into_iter().filter(|server| server.is_refused()) {
        if let Some(set) = server.stateful_set.as_deref() {
            refused::try_again(context, set).await;
        }
    }
    for job in seen.jobs.iter().filter(|job| seen.podless_jobs.get(&job.name_any()).is_some_and(Podless::is_refused)) {
        refused::try_again(context, &**job).await;
    }
}

/// Notes on a Job since when its container runs.
async fn note_start(context: &Context, job: &Job, since: Timestamp) -> Result<(), ApplyError> {
    let note = json!({"metadata": {"uid": job.uid(), "annotations": {ANNOTATION_STARTED: since.to_string()}}});
    let api = objects::<Job>(&context.client, namespace(job));
    match api.patch_metadata(&job.name_any(), &PatchParams::default(), &Patch::Merge(&note)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => {
            let object = format!("Job {}/{}", namespace(job), job.name_any());
            Err(ApplyError::Write { verb: "note the start of", object, source: Box::new(source) })
        }
        Ok(_) => Ok(()),
    }
}

async fn server(context: &Context, store: &Store, seen: &Server, server: DataServer) -> Result<bool, ApplyError> {
    apply_child(context, server.policy).await?;
    let claim = seen.storage.claim.as_ref();
    let mut wrote = storage::bring(context, store, claim, &server.storage, server.volume).await?;
    for service in server.services {
        wrote |= apply_child(context, service).await?;
    }
    wrote |= apply_child(context, server.stateful_set).await?;
    Ok(wrote)
}

async fn delete_disabled(context: &Context, store: &Store, of: &Validated, seen: &Seen) -> Result<bool, ApplyError> {
    let mut wrote = false;
    // One of that name may be a user's own, in the place of ours.
    let disabled = |name: &&ServiceName| !of.services.contains_key(name) && !is_of_users(&seen.services[name]);
    for name in seen.services.keys().filter(disabled) {
        wrote |= delete(context, store, &*seen.services[name]).await?;
    }
    Ok(wrote)
}
