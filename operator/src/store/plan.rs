//! What may happen now: which migrations run, and which services may have which image. Pure.
//!
//! Migrations come first, while the old pods serve; a failed one changes no service. Then the services that exist
//! change their image one after the other, in the order in which they need one another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use api::{ConditionType, Reason, ServiceName, Status, StoreService, StoreServiceSpec};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::{
    dereference::Seen,
    migration::{Hashes, Migration, NOTED_AFTER, has_migrated, hashes, migration, running},
    names::{Names, has_database},
    upgrade::Course,
    validate::Validated,
    verdict::data_works,
};
use crate::{guests::is_of_users, workload::image_tag};

/// What to do now.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// State of the migration of each service that has a database.
    pub(super) migrations: BTreeMap<ServiceName, Migration>,
    /// Image of each service that may exist.
    pub(super) images: BTreeMap<ServiceName, String>,
    /// What the Job of each service that has a database is known by.
    pub(super) hashes: BTreeMap<ServiceName, Hashes>,
    /// What the services are described by whose image has to wait.
    pub(super) held: BTreeMap<ServiceName, Box<StoreServiceSpec>>,
    /// Which release the services go to.
    pub(super) course: Course,
    /// Services that run no pod now, whatever their settings say: the store sleeps, or its data is not awake yet.
    pub(super) at_rest: BTreeSet<ServiceName>,
    /// Whether databases, broker and cache sleep.
    pub(super) data_sleeps: bool,
}

impl Plan {
    /// Whether every database is in the shape that the image needs.
    pub(super) fn migrated(&self) -> bool {
        self.migrations.values().all(Migration::holds_nothing_up)
    }

    /// The first migration that failed.
    pub(super) fn failure(&self) -> Option<(Reason, &str)> {
        self.migrations.values().find_map(|migration| match migration {
            Migration::Failed(reason, message) => Some((*reason, message.as_str())),
            Migration::Waiting
            | Migration::Running(_)
            | Migration::Again
            | Migration::Anew { .. }
            | Migration::Done => None,
        })
    }
}

pub(super) fn plan(of: &Validated, seen: &Seen, course: Course) -> Plan {
    let services = || of.services.keys().copied().filter(|service| has_database(*service));
    let mut plan = Plan {
        migrations: BTreeMap::new(),
        images: BTreeMap::new(),
        held: BTreeMap::new(),
        hashes: services().map(|service| (service, hashes(of, seen, service))).collect(),
        course,
        at_rest: at_rest(of, seen),
        data_sleeps: of.suspend && services_sleep(of, seen),
    };
    let migrate = !of.suspend && plan.course.taken_back.is_none();
    let state = |service: ServiceName| {
        // A release that ran before finds its databases as it left them, or as a later one may leave them for it.
        if migrate { migration(of, seen, service, &plan.hashes[&service]) } else { Migration::Done }
    };
    plan.migrations = services().map(|service| (service, state(service))).collect();
    plan.images = images(of, seen, &plan);
    plan.held = held(seen, &plan, of);
    plan
}

/// Services that sleep, and those that slept and whose data is not awake yet.
fn at_rest(of: &Validated, seen: &Seen) -> BTreeSet<ServiceName> {
    if of.suspend {
        return of.services.keys().copied().collect();
    }
    let was_put_to_rest = |name: &&ServiceName| {
        let wanted = of.services.get(name).is_some_and(|settings| settings.replicas != Some(0));
        wanted && seen.services.get(name).is_some_and(|live| live.spec.replicas == Some(0))
    };
    let resting: BTreeSet<ServiceName> = of.services.keys().filter(was_put_to_rest).copied().collect();
    if resting.is_empty() || data_works(of, seen) { BTreeSet::new() } else { resting }
}

/// Whether no service of the store has a pod left. One that a user put in the place of the store's own is the user's.
fn services_sleep(of: &Validated, seen: &Seen) -> bool {
    let ours = |name: &ServiceName, service: &StoreService| of.services.contains_key(name) || !is_of_users(service);
    seen.services.iter().filter(|(name, service)| ours(name, service)).all(|(_, service)| sleeps(service))
}

/// Whether the service has no pod left.
fn sleeps(service: &StoreService) -> bool {
    service.spec.replicas == Some(0)
        && service
            .status
            .as_ref()
            .is_some_and(|status| status.observed_generation() == service.metadata.generation && status.replicas == 0)
}

/// The image of each service: the new one as soon as the databases fit it and every service before has it and is
/// ready; until then the one it has. A service that does not exist yet starts with the new one. On the way back all
/// change at once, and while the store sleeps none does.
fn images(of: &Validated, seen: &Seen, plan: &Plan) -> BTreeMap<ServiceName, String> {
    let migrated = plan.migrated() && !of.suspend;
    let back = plan.course.taken_back.is_some();
    let mut may_roll = migrated;
    let mut images = BTreeMap::new();
    for service in ServiceName::ALL.into_iter().filter(|service| of.services.contains_key(service)) {
        let target = plan.course.image_of(of, service);
        match seen.services.get(&service) {
            None if migrated => {
                images.insert(service, target);
            }
            None => {}
            Some(live) if may_roll || live.spec.image == target => {
                // Only a service that is being changed holds up the next: one that is ill for another reason does not.
                let must_serve = !plan.course.has_run && of.own_image(service).is_none();
                may_roll = may_roll && (back || has_rolled(live, &target, must_serve));
                images.insert(service, target);
            }
            Some(live) => {
                images.insert(service, live.spec.image.clone());
            }
        }
    }
    images
}

/// What the services are described by that have to wait for another image. Settings come with the image that they were written
/// for: an upgrade that fails changes nothing.
fn held(seen: &Seen, plan: &Plan, of: &Validated) -> BTreeMap<ServiceName, Box<StoreServiceSpec>> {
    let waits = |(name, live): (&ServiceName, &Arc<StoreService>)| {
        let keeps = plan.images.get(name).is_some_and(|image| *image != plan.course.image_of(of, *name));
        keeps.then(|| (*name, Box::new(live.spec.clone())))
    };
    seen.services.iter().filter_map(waits).collect()
}

/// Whether every pod of the service runs the image, and is ready where that is the upgrade's doing.
fn has_rolled(live: &StoreService, target: &str, must_serve: bool) -> bool {
    let is_present = |generation: Option<i64>| generation == live.metadata.generation;
    let status = live.status.as_ref().filter(|status| is_present(status.observed_generation()));
    let ready = status.and_then(|status| status.condition(ConditionType::Ready.as_str()));
    let serves = ready.is_some_and(|ready| ready.status == "True" && is_present(ready.observed_generation));
    runs(live, target) && status.is_some() && (serves || !must_serve)
}

/// Whether every pod of the service runs the image, as far as it has come to know.
fn runs(live: &StoreService, target: &str) -> bool {
    let Some(status) = &live.status else { return false };
    let runs = match &status.image {
        Some(image) => image == target,
        // It was last looked at by an operator that noted only the tag.
        None => status.version.as_deref() == Some(image_tag(target)),
    };
    live.spec.image == target && runs
}

/// The services that do not run yet what they are asked to run.
pub(super) fn behind(of: &Validated, seen: &Seen) -> Vec<ServiceName> {
    let is_there = |name: &ServiceName| seen.services.get(name).is_some_and(|live| runs(live, &of.image_of(*name)));
    of.services.keys().copied().filter(|name| !is_there(name)).collect()
}

/// Jobs that give way to others of the same name, now.
pub(super) fn given_up<'a>(plan: &'a Plan, seen: &'a Seen) -> impl Iterator<Item = &'a Job> {
    let due = |job: &&Job| {
        plan.migrations.values().any(|state| match state {
            Migration::Anew { job: name, at, .. } => *name == job.name_any() && *at <= seen.at,
            Migration::Waiting | Migration::Running(_) | Migration::Again | Migration::Done | Migration::Failed(..) => {
                false
            }
        })
    };
    seen.jobs.iter().map(|job| &**job).filter(due)
}

/// When to look again at what no watch tells of.
pub(super) fn look_again(plan: &Plan, seen: &Seen) -> Option<Duration> {
    let until = |at: Timestamp| at.duration_since(seen.at).max(SignedDuration::from_secs(1)).unsigned_abs();
    let anew = plan.migrations.values().filter_map(|state| match state {
        Migration::Anew { at, .. } => Some(until(*at)),
        Migration::Waiting | Migration::Running(_) | Migration::Again | Migration::Done | Migration::Failed(..) => None,
    });
    let to_note = running(seen).filter_map(|(_, since)| Some(until(since.saturating_add(NOTED_AFTER).ok()?)));
    let servers = [&seen.kafka, &seen.cache].into_iter().filter_map(|server| server.podless.as_ref());
    let podless = servers.chain(seen.podless_jobs.values()).map(|podless| podless.look_again);
    anew.chain(to_note).chain(podless).min()
}

/// Jobs that no longer matter: of other images or settings, once every database fits the present one.
pub(super) fn obsolete_jobs<'a>(plan: &'a Plan, seen: &'a Seen, names: &'a Names) -> impl Iterator<Item = &'a Job> {
    let done = plan.migrated() && plan.course.taken_back.is_none() && !plan.data_sleeps;
    seen.jobs.iter().map(|job| &**job).filter(move |job| {
        let is_current = |service: &ServiceName| {
            let hashes = &plan.hashes[service];
            let told_apart = || seen.jobs.iter().any(|job| has_migrated(job, *service, &hashes.label));
            has_migrated(job, *service, &hashes.label)
                || has_migrated(job, *service, &hashes.of_any) && !told_apart()
                || names.migration(*service, &hashes.job) == job.name_any()
        };
        done && !plan.migrations.keys().any(is_current)
    })
}

#[cfg(test)]
mod tests;
