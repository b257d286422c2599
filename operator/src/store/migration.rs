//! How far the migration of one service's database is, and what becomes of its Job. Pure.
//!
//! A Job's deadline runs from the moment it is made, also while its pod is refused, cannot be scheduled or waits for its
//! image. So a Job that failed says nothing about the migration unless a container of it has run: such a one is final, and any
//! other gives way to a new Job of the same name.

use std::{collections::BTreeMap, sync::Arc};

use api::{ConditionType, DatabaseStatus, PodOverrides, Reason, ServiceName, Status as _, StoreDatabase, label};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::{Affinity, ContainerStatus, Pod, Toleration},
};
use kube::ResourceExt;

use super::{
    dereference::Seen,
    validate::{Image, Validated},
};
use crate::framework::{PodTrouble, content_hash, trouble_of};

/// On a Job: since when its container runs. Its pod may be gone by the time that matters.
pub(super) const ANNOTATION_STARTED: &str = "greencommerce.dev/started";
/// On a Job: changes with where its pod may run.
pub(super) const ANNOTATION_PLACE: &str = "greencommerce.dev/place";

/// How long a container has run before that is noted. Nearly every migration is over by then, and no deadline is shorter.
pub(super) const NOTED_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// Jobs of the same name are made at least so far apart, however short the deadline is.
const PACE: SignedDuration = SignedDuration::from_secs(30);
/// And need not be further apart, however long it is: nodes may have turned the pods down at once.
const SLOWEST: SignedDuration = SignedDuration::from_mins(5);

/// What `greencommerce migrate` exits with when a later release has left the database in a shape that this one does not
/// know and cannot work with.
pub(super) const EXIT_SCHEMA_TOO_NEW: i32 = 3;

/// State of the migration of one service's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Migration {
    /// The database is not there yet.
    Waiting,
    /// Its Job has to run, or runs; with what keeps its pod, if anything does.
    Running(Option<PodTrouble>),
    /// It is done, but for which database is not known: its Job has to run once more, or runs, and holds nothing up.
    Again,
    /// Its Job did not have its chance, or is to run elsewhere: from that time on another may take its place. `again`: it is
    /// one that holds nothing up.
    Anew { job: String, at: Timestamp, trouble: PodTrouble, again: bool },
    /// It is done.
    Done,
    /// It failed for good; the text says which Job and why.
    Failed(Reason, String),
}

impl Migration {
    /// Whether the database is in the shape that the image needs.
    pub(super) fn holds_nothing_up(&self) -> bool {
        matches!(self, Self::Done | Self::Again | Self::Anew { again: true, .. })
    }
}

/// What a migration Job is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashes {
    /// What its name ends in: six digits for the image and the settings, four for the database.
    pub(super) job: String,
    /// Its label: changes with the image and with the database, because one that was made anew is empty.
    pub(super) label: String,
    /// The label of a Job of this image of which is not known which database it was for.
    pub(super) of_any: String,
}

/// The name changes with what makes another Job necessary: a failed one is tried again when the user changes any of it.
pub(super) fn hashes(of: &Validated, seen: &Seen, service: ServiceName) -> Hashes {
    let (image, database) = (of.image_of(service), database_of(seen, service));
    let identity = database.and_then(|database| database.identity.as_deref()).map(str::as_bytes);
    let Image { pull_policy, pull_secrets, .. } = &of.image;
    let timeout = of.migration_timeout.as_secs().to_be_bytes();
    let parts = [image.as_bytes(), pull_policy.as_str().as_bytes(), &timeout];
    // Nothing where it is not, so that Jobs keep the names that they had before there was a choice.
    let verifies = of.verifies_database().then_some(b"verify".as_slice());
    let parts = parts.into_iter().chain(pull_secrets.iter().map(|secret| secret.name.as_bytes())).chain(verifies);
    let settings = content_hash(parts);
    Hashes {
        job: match identity {
            Some(identity) => settings[..6].to_owned() + &content_hash([identity])[..4],
            None => settings,
        },
        label: content_hash([image.as_bytes()].into_iter().chain(identity)),
        of_any: content_hash([image.as_bytes()]),
    }
}

/// The state of a service's migration.
pub(super) fn migration(of: &Validated, seen: &Seen, service: ServiceName, hashes: &Hashes) -> Migration {
    let is_done = |label: &str| seen.jobs.iter().any(|job| has_migrated(job, service, label));
    if is_done(&hashes.label) {
        return Migration::Done;
    }
    let again = is_done(&hashes.of_any);
    let name = of.names.migration(service, &hashes.job);
    match seen.jobs.iter().find(|job| job.name_any() == name) {
        Some(job) => of_job(of, seen, service, job, again),
        None if !database_is_ready(seen, service) => {
            if again {
                Migration::Done
            } else {
                Migration::Waiting
            }
        }
        None if again => Migration::Again,
        None => Migration::Running(None),
    }
}

/// Whether it is a Job of the service with this label, and has succeeded.
pub(super) fn has_migrated(job: &Job, service: ServiceName, label: &str) -> bool {
    label_is(job, label::NAME, service.as_str()) && label_is(job, label::IMAGE, label) && is_complete(job)
}

/// `again`: a Job of this image succeeded already, for a database that may be this one.
fn of_job(of: &Validated, seen: &Seen, service: ServiceName, job: &Job, again: bool) -> Migration {
    let name = job.name_any();
    if let Some(cause) = condition(job, "Failed") {
        return if had_its_chance(of, seen, job, cause) {
            failure(service, job, cause, &seen.job_pods)
        } else {
            Migration::Anew { at: not_before(of, job), trouble: never_started(seen, job, cause), job: name, again }
        };
    }
    let place = Place::of(of.services.get(&service).and_then(|settings| settings.pod.as_ref())).hash();
    if job.annotations().get(ANNOTATION_PLACE) != place.as_ref() && started(seen, job).is_none() {
        let message = format!("Job {name} is made anew, to run where the spec says now");
        let trouble = PodTrouble { reason: Reason::Migrating, message };
        return Migration::Anew { job: name, at: seen.at, trouble, again };
    }
    if again {
        return Migration::Again;
    }
    Migration::Running(trouble_of(pods_of(job, &seen.job_pods)).or_else(|| refused(seen, &name)))
}

fn refused(seen: &Seen, job: &str) -> Option<PodTrouble> {
    let cause = seen.podless_jobs.get(job)?.message()?;
    Some(PodTrouble { reason: Reason::PodsRefused, message: format!("Job {job}: {cause}") })
}

/// Whether a container of the Job really ran and failed, or had at least half of the time that it may take.
fn had_its_chance(of: &Validated, seen: &Seen, job: &Job, cause: &JobCondition) -> bool {
    let mut pods = pods_of(job, &seen.job_pods).filter(|pod| pod.metadata.deletion_timestamp.is_none()).peekable();
    if cause.reason.as_deref() != Some("DeadlineExceeded") && pods.peek().is_none() {
        // Somebody has tidied up.
        return true;
    }
    let failed = pods.flat_map(statuses).any(|container| ended(container).is_some_and(|ended| ended.exit_code != 0));
    let time = SignedDuration::try_from(of.migration_timeout).unwrap_or(SignedDuration::MAX);
    let begun = job.creation_timestamp().map_or(seen.at, |made| made.0);
    failed || started(seen, job).is_some_and(|since| since.duration_since(begun) <= time / 2)
}

/// The deadline has passed once already; where it is short, or was not what ended the Job, a little more has to.
fn not_before(of: &Validated, job: &Job) -> Timestamp {
    let time = SignedDuration::try_from(of.migration_timeout).unwrap_or(SLOWEST).clamp(PACE, SLOWEST);
    let made = job.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |made| made.0);
    made.saturating_add(time).unwrap_or(made)
}

fn never_started(seen: &Seen, job: &Job, cause: &JobCondition) -> PodTrouble {
    let name = job.name_any();
    trouble_of(pods_of(job, &seen.job_pods)).unwrap_or_else(|| {
        let cause = cause.message.as_deref().unwrap_or("no reason is given");
        let message = format!("Job {name} came to its end before its container ran ({cause}), and is made anew");
        PodTrouble { reason: Reason::Migrating, message }
    })
}

/// Since when a container of the Job runs or ran.
pub(super) fn started(seen: &Seen, job: &Job) -> Option<Timestamp> {
    let noted = job.annotations().get(ANNOTATION_STARTED).and_then(|since| since.parse().ok());
    let of_container = |container: &ContainerStatus| {
        let running = container.state.as_ref().and_then(|state| state.running.as_ref()?.started_at.clone());
        let ended = || ended(container).and_then(|ended| ended.started_at.clone());
        running.or_else(ended).map(|since| since.0)
    };
    noted.into_iter().chain(pods_of(job, &seen.job_pods).flat_map(statuses).filter_map(of_container)).min()
}

/// Jobs whose container runs for so long that it has to be noted, and since when it does.
pub(super) fn to_be_noted(seen: &Seen) -> impl Iterator<Item = (&Job, Timestamp)> {
    running(seen).filter(|(_, since)| seen.at.duration_since(*since) >= NOTED_AFTER)
}

/// Jobs whose container runs, which is not noted yet, and since when it does.
pub(super) fn running(seen: &Seen) -> impl Iterator<Item = (&Job, Timestamp)> {
    let open = |job: &&Job| {
        condition(job, "Failed").is_none()
            && !is_complete(job)
            && !job.annotations().contains_key(ANNOTATION_STARTED)
            && job.metadata.deletion_timestamp.is_none()
    };
    seen.jobs.iter().map(|job| &**job).filter(open).filter_map(|job| Some((job, started(seen, job)?)))
}

pub(super) fn label_is<K: ResourceExt>(object: &K, key: &str, value: &str) -> bool {
    object.labels().get(key).is_some_and(|held| held == value)
}

pub(super) fn is_complete(job: &Job) -> bool {
    condition(job, "Complete").is_some()
}

/// The Job's condition of that type, if it holds.
fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
}

/// The pods of this Job, and not those of one that had its name before.
pub(super) fn pods_of<'a>(job: &Job, pods: &'a [Arc<Pod>]) -> impl Iterator<Item = &'a Pod> {
    let (name, uid) = (job.name_any(), job.uid());
    pods.iter().map(|pod| &**pod).filter(move |pod| {
        let made_by = pod.labels().get("batch.kubernetes.io/controller-uid");
        label_is(*pod, "batch.kubernetes.io/job-name", &name) && made_by.is_none_or(|by| Some(by) == uid.as_ref())
    })
}

fn failure(service: ServiceName, job: &Job, cause: &JobCondition, pods: &[Arc<Pod>]) -> Migration {
    let cause = cause.message.as_deref().unwrap_or_default();
    let trouble = trouble_of(pods_of(job, pods)).map(|trouble| format!("; {}", trouble.message)).unwrap_or_default();
    let (service, job_name) = (service.as_str(), job.name_any());
    if pods_of(job, pods).flat_map(statuses).any(is_too_new) {
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

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().filter_map(|status| status.container_statuses.as_deref()).flatten()
}

fn ended(container: &ContainerStatus) -> Option<&k8s_openapi::api::core::v1::ContainerStateTerminated> {
    container.state.as_ref()?.terminated.as_ref()
}

fn is_too_new(container: &ContainerStatus) -> bool {
    ended(container).is_some_and(|ended| ended.exit_code == EXIT_SCHEMA_TOO_NEW)
}

/// Whether the database is there, and its server can be asked. The status keeps what it said of a database while the server
/// cannot be reached; that passwords are being replaced makes no difference.
fn database_is_ready(seen: &Seen, service: ServiceName) -> bool {
    let Some(database) = seen.database.as_deref() else { return false };
    database_of(seen, service).is_some_and(|held| held.ready) && is_served(database)
}

fn database_of(seen: &Seen, service: ServiceName) -> Option<&DatabaseStatus> {
    let status = seen.database.as_ref()?.status.as_ref()?;
    status.databases.iter().find(|database| database.name == service.as_str())
}

fn is_served(database: &StoreDatabase) -> bool {
    let condition = |type_: ConditionType| {
        let status = database.status.as_ref()?;
        status.condition(type_.as_str()).filter(|held| held.observed_generation == database.metadata.generation)
    };
    let serves = condition(ConditionType::ServerReady).is_some_and(|server| server.status == "True");
    condition(ConditionType::Ready).is_some_and(|ready| {
        // Neither a volume of another size or class than wanted nor a name that another database has keeps this one from
        // serving.
        let beside_it =
            [Reason::VolumeResizing, Reason::VolumeExpansionUnsupported, Reason::SpecInvalid, Reason::NameTaken];
        ready.status == "True" || serves && Reason::parse(&ready.reason).is_some_and(|why| beside_it.contains(&why))
    })
}

/// Where the pod of a migration may run: wherever the pods of its service may.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub(super) node_selector: Option<BTreeMap<String, String>>,
    pub(super) tolerations: Option<Vec<Toleration>>,
    pub(super) affinity: Option<Affinity>,
    pub(super) priority_class_name: Option<String>,
}

impl Place {
    pub(super) fn of(pod: Option<&PodOverrides>) -> Self {
        let Some(pod) = pod else { return Self::default() };
        Self {
            node_selector: Some(pod.node_selector.clone()).filter(|labels| !labels.is_empty()),
            tolerations: Some(pod.tolerations.clone()).filter(|taints| !taints.is_empty()),
            affinity: pod.affinity.clone(),
            priority_class_name: pod.priority_class_name.clone(),
        }
    }

    /// Changes with it; nothing if any place will do. It is no part of the Job's name, so a migration that ran does not run
    /// again because its service moves.
    pub(super) fn hash(&self) -> Option<String> {
        let Self { node_selector, tolerations, affinity, priority_class_name } = self;
        let parts = [
            serde_json::to_vec(node_selector),
            serde_json::to_vec(tolerations),
            serde_json::to_vec(affinity),
            serde_json::to_vec(priority_class_name),
        ];
        let parts = parts.map(|part| part.expect("Kubernetes objects have string keys and no failing serializer"));
        (*self != Self::default()).then(|| content_hash(parts.iter().map(Vec::as_slice)))
    }
}

#[cfg(test)]
mod tests;
