//! What may happen now: which migrations run, and which services may have which image. Pure.
//!
//! Migrations come first, while the old pods serve; a failed one changes no service. Then the services that exist
//! change their image one after the other, in the order in which they need one another.

use std::collections::{BTreeMap, BTreeSet};

use api::{DatabaseStatus, Reason, ServiceName, Status, StoreService, label};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;

use super::{
    dereference::Seen,
    names::{Names, has_database},
    upgrade::Course,
    validate::{Image, Validated},
    verdict::data_works,
};
use crate::{
    framework::{PodTrouble, content_hash, trouble_of},
    guests::is_of_users,
    workload::image_tag,
};

/// What to do now.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// State of the migration of each service that has a database.
    pub(super) migrations: BTreeMap<ServiceName, Migration>,
    /// Image of each service that may exist.
    pub(super) images: BTreeMap<ServiceName, String>,
    /// What the Job of each service that has a database is known by.
    pub(super) hashes: BTreeMap<ServiceName, Hashes>,
    /// Which release the services go to.
    pub(super) course: Course,
    /// Services that run no pod now, whatever their settings say: the store sleeps, or its data is not awake yet.
    pub(super) at_rest: BTreeSet<ServiceName>,
    /// Whether databases, broker and cache sleep.
    pub(super) data_sleeps: bool,
}

/// What a migration Job is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashes {
    /// What its name ends in: six digits for the image and the settings, four for the database.
    pub(super) job: String,
    /// Its label: changes with the image and with the database, because one that was made anew is empty.
    pub(super) label: String,
    /// The label of a Job of this image of which is not known which database it was for.
    of_any: String,
}

/// State of the migration of one service's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Migration {
    /// The database is not there yet.
    Waiting,
    /// Its Job has to run, or runs; with what keeps its pod, if anything does.
    Running(Option<PodTrouble>),
    /// It is done, but for which database is not known: its Job has to run once more, or runs, and holds nothing up.
    Again,
    /// It is done.
    Done,
    /// It failed for good; the text says which Job and why.
    Failed(Reason, String),
}

impl Plan {
    /// Whether every database is in the shape that the image needs.
    pub(super) fn migrated(&self) -> bool {
        self.migrations.values().all(|migration| matches!(migration, Migration::Done | Migration::Again))
    }

    /// The first migration that failed.
    pub(super) fn failure(&self) -> Option<(Reason, &str)> {
        self.migrations.values().find_map(|migration| match migration {
            Migration::Failed(reason, message) => Some((*reason, message.as_str())),
            Migration::Waiting | Migration::Running(_) | Migration::Again | Migration::Done => None,
        })
    }
}

pub(super) fn plan(of: &Validated, seen: &Seen, course: Course) -> Plan {
    let services = || of.services.keys().copied().filter(|service| has_database(*service));
    let mut plan = Plan {
        migrations: BTreeMap::new(),
        images: BTreeMap::new(),
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

/// The name changes with what makes another Job necessary: a failed one is tried again when the user changes any of it.
fn hashes(of: &Validated, seen: &Seen, service: ServiceName) -> Hashes {
    let (image, database) = (of.image_of(service), database_of(seen, service));
    let identity = database.and_then(|database| database.identity.as_deref()).map(str::as_bytes);
    let Image { pull_policy, pull_secrets, .. } = &of.image;
    let timeout = of.migration_timeout.as_secs().to_be_bytes();
    let parts = [image.as_bytes(), pull_policy.as_str().as_bytes(), &timeout];
    let settings = content_hash(parts.into_iter().chain(pull_secrets.iter().map(|secret| secret.name.as_bytes())));
    Hashes {
        job: match identity {
            Some(identity) => settings[..6].to_owned() + &content_hash([identity])[..4],
            None => settings,
        },
        label: content_hash([image.as_bytes()].into_iter().chain(identity)),
        of_any: content_hash([image.as_bytes()]),
    }
}

fn migration(of: &Validated, seen: &Seen, service: ServiceName, hashes: &Hashes) -> Migration {
    let is_done = |label: &str| seen.jobs.iter().any(|job| has_migrated(job, service, label));
    if is_done(&hashes.label) {
        return Migration::Done;
    }
    let name = of.names.migration(service, &hashes.job);
    match seen.jobs.iter().find(|job| job.name_any() == name) {
        Some(job) => match ended(job, "Failed") {
            Some(cause) => failure(service, job, &cause, &seen.job_pods),
            None if is_done(&hashes.of_any) => Migration::Again,
            None => Migration::Running(trouble_of(pods_of(job, &seen.job_pods))),
        },
        None if !database_of(seen, service).is_some_and(|database| database.ready) => {
            if is_done(&hashes.of_any) {
                Migration::Done
            } else {
                Migration::Waiting
            }
        }
        None if is_done(&hashes.of_any) => Migration::Again,
        None => Migration::Running(None),
    }
}

/// Whether it is a Job of the service with this label, and has succeeded.
fn has_migrated(job: &Job, service: ServiceName, image: &str) -> bool {
    label_is(job, label::NAME, service.as_str())
        && label_is(job, label::IMAGE, image)
        && ended(job, "Complete").is_some()
}

fn label_is<K: ResourceExt>(object: &K, key: &str, value: &str) -> bool {
    object.labels().get(key).is_some_and(|held| held == value)
}

/// The message of the Job's condition of that type, if it has it.
fn ended(job: &Job, type_: &str) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")?;
    Some(condition.message.clone().unwrap_or_default())
}

fn pods_of<'a>(job: &Job, pods: &'a [std::sync::Arc<Pod>]) -> impl Iterator<Item = &'a Pod> {
    let name = job.name_any();
    pods.iter().map(|pod| &**pod).filter(move |pod| label_is(*pod, "batch.kubernetes.io/job-name", &name))
}

/// What `greencommerce migrate` exits with when a later release has left the database in a shape that this one does not
/// know and cannot work with.
pub(super) const EXIT_SCHEMA_TOO_NEW: i32 = 3;

fn failure(service: ServiceName, job: &Job, cause: &str, pods: &[std::sync::Arc<Pod>]) -> Migration {
    let trouble = trouble_of(pods_of(job, pods)).map(|trouble| format!("; {}", trouble.message)).unwrap_or_default();
    let (service, job_name) = (service.as_str(), job.name_any());
    if pods_of(job, pods).any(|pod| exit_code(pod) == Some(EXIT_SCHEMA_TOO_NEW)) {
        let message = format!(
            "the database of {service} is in the shape of a later release, which this version cannot work with (Job \
             {job_name}{trouble}): the services still run their former image; set the version that ran, or a later one"
        );
        return Migration::Failed(Reason::DowngradeRefused, message);
    }
    let message = format!(
        "the migration of {service} failed in Job {job_name} ({cause}{trouble}): the services still run their former \
         image; read the Job's log, then set another spec.version, or delete the Job to try again"
    );
    Migration::Failed(Reason::MigrationFailed, message)
}

fn exit_code(pod: &Pod) -> Option<i32> {
    let containers = pod.status.as_ref()?.container_statuses.as_deref()?;
    containers.iter().find_map(|container| Some(container.state.as_ref()?.terminated.as_ref()?.exit_code))
}

fn database_of(seen: &Seen, service: ServiceName) -> Option<&DatabaseStatus> {
    let status = seen.database.as_ref()?.status.as_ref()?;
    status.databases.iter().find(|database| database.name == service.as_str())
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
                may_roll = may_roll && (back || has_rolled(live, &target));
                images.insert(service, target);
            }
            Some(live) => {
                images.insert(service, live.spec.image.clone());
            }
        }
    }
    images
}

/// Whether every pod of the service runs the image.
fn has_rolled(live: &StoreService, target: &str) -> bool {
    let status = live.status.as_ref();
    live.spec.image == target
        && status.is_some_and(|status| status.observed_generation() == live.metadata.generation)
        && status.and_then(|status| status.version.as_deref()).is_some_and(|version| version == image_tag(target))
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
