//! Which release the services go to: the one asked for, or, once that could not be rolled out, the last that ran. Pure.
//!
//! The history in the status is the memory: its newest entry is the upgrade under way or the last one. A version that was
//! taken back stays so until what decides whether it can work changes ([`attempt`]).

use api::{ConditionType, Reason, ServiceName, Status, StoreService, StoreStatus, UpgradeRecord, UpgradeResult};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    dereference::Seen,
    plan::Plan,
    validate::{Image, Service, Validated},
};
use crate::framework::content_hash;

/// Entries of the history that are kept.
const LONGEST_HISTORY: usize = 10;

/// A release: what the user calls it, and its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) version: String,
    pub(super) image: String,
}

/// Where the services go.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// The release that the services are to run, but for those with a version of their own.
    pub(super) release: Release,
    /// The upgrade that was taken back, where that release is not the one asked for.
    pub(super) taken_back: Option<UpgradeRecord>,
    /// Whether that release has run already: what changes by now are versions of single services.
    pub(super) has_run: bool,
    /// The release to go back to if this one cannot be rolled out.
    way_back: Option<Release>,
    /// What decides whether the release asked for can work.
    attempt: String,
}

impl Course {
    /// The image that a service is to run. One with a version of its own keeps that one, whichever way the others go.
    pub(super) fn image_of(&self, of: &Validated, service: ServiceName) -> String {
        of.own_image(service).unwrap_or_else(|| self.release.image.clone())
    }
}

/// How far the release asked for has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Running,
    Succeeded,
    /// It cannot be carried out, and there is nothing to take back or nothing to go back to.
    Failed(Reason, String),
    /// It cannot be rolled out, and the services go back.
    TakenBack(Reason, String),
}

/// Changes with everything that may turn an upgrade that failed into one that works. How many pods run is not part of it.
fn attempt(of: &Validated) -> String {
    let Image { reference, repository: _, pull_policy, pull_secrets } = &of.image;
    let mut parts = vec![of.version.clone(), reference.clone(), pull_policy.as_str().to_owned()];
    parts.extend(pull_secrets.iter().map(|secret| secret.name.clone()));
    parts.push(format!("{:?} {:?} {}", of.migration_timeout, of.progress_deadline, of.auto_rollback));
    parts.extend(of.services.iter().map(|(name, service)| {
        let Service { version, env, resources, pod, .. } = service;
        // Left out where there is none, so that what was noted before these counted still holds.
        let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let pod = pod.as_ref().map(|pod| format!(" {pod:?}")).unwrap_or_default();
        format!("{name:?} {env:?} {resources:?}{version}{pod}")
    }));
    content_hash(parts.iter().map(String::as_bytes))
}

/// Decides where the services go. They go back only because the status says so, never because of what was just seen: an
/// operator that is killed on the way does not take the bad release for a new one.
pub(super) fn course(of: &Validated, status: Option<&StoreStatus>) -> Course {
    let history = status.map(|status| status.history.as_slice()).unwrap_or_default();
    let asked = Release { version: of.version.clone(), image: of.image.reference.clone() };
    let attempt = attempt(of);
    let newest = history.first();
    let bad = newest.filter(|record| record.attempt == attempt && record.result == UpgradeResult::RolledBack);
    let ran_already = newest.is_some_and(|record| is_of(record, &asked) && record.result == UpgradeResult::Succeeded);
    let way_back = last_good(history, &asked).filter(|_| of.auto_rollback && !ran_already);
    match (bad, last_good(history, &asked)) {
        (Some(bad), Some(good)) => {
            Course { release: good, taken_back: Some(bad.clone()), has_run: true, way_back: None, attempt }
        }
        _ => Course { release: asked, taken_back: None, has_run: ran_already, way_back, attempt },
    }
}

fn is_of(record: &UpgradeRecord, release: &Release) -> bool {
    record.to == release.version && record.image == release.image
}

/// The last release that ran, unless it is the one asked for: what ran before that is no way back from it.
fn last_good(history: &[UpgradeRecord], asked: &Release) -> Option<Release> {
    let good = history.iter().find(|record| record.result == UpgradeResult::Succeeded)?;
    let release = Release { version: good.to.clone(), image: good.image.clone() };
    (release.image != asked.image).then_some(release)
}

/// How far the release asked for has come. `rolled`: every service runs it and is ready.
pub(super) fn outcome(of: &Validated, seen: &Seen, plan: &Plan, rolled: bool) -> Outcome {
    if rolled {
        return Outcome::Succeeded;
    }
    // No service has changed.
    if let Some((reason, message)) = plan.failure() {
        return Outcome::Failed(reason, message.to_owned());
    }
    let missed = missed_deadlines(of, seen, &plan.course);
    // A version of its own is somebody's express wish, and the service would have it on the way back as well.
    let of_release = missed.iter().find(|(name, _)| of.own_image(*name).is_none());
    match (of_release, missed.first()) {
        (Some((_, message)), _) if plan.course.way_back.is_some() => {
            Outcome::TakenBack(Reason::ProgressDeadlineExceeded, message.clone())
        }
        (_, Some((_, message))) => Outcome::Failed(Reason::ProgressDeadlineExceeded, message.clone()),
        (_, None) => Outcome::Running,
    }
}

/// What the services say whose pods of the image they are to run did not become ready in time.
fn missed_deadlines(of: &Validated, seen: &Seen, course: &Course) -> Vec<(ServiceName, String)> {
    let message = |(name, service): (&ServiceName, &std::sync::Arc<StoreService>)| {
        let on_course = service.spec.image == course.image_of(of, *name);
        missed_deadline(service).filter(|_| on_course).map(|message| (*name, message))
    };
    seen.services.iter().filter_map(message).collect()
}

fn missed_deadline(service: &StoreService) -> Option<String> {
    let ready = service.status.as_ref()?.condition(ConditionType::Ready.as_str())?;
    let missed = ready.observed_generation == service.metadata.generation
        && ready.reason == Reason::ProgressDeadlineExceeded.as_str();
    missed.then(|| {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        format!("StoreService {name}: {}", ready.message)
    })
}

/// The history with what has become of the newest upgrade.
pub(super) fn history(
    of: &Validated,
    course: &Course,
    before: Option<&StoreStatus>,
    outcome: Outcome,
    now: Timestamp,
) -> Vec<UpgradeRecord> {
    let mut history = before.map(|before| before.history.clone()).unwrap_or_default();
    let asked = Release { version: of.version.clone(), image: of.image.reference.clone() };
    let current = history.first_mut().filter(|newest| {
        newest.attempt == course.attempt || is_of(newest, &asked) && newest.result == UpgradeResult::Succeeded
    });
    if let Some(newest) = current {
        newest.attempt.clone_from(&course.attempt);
        // These two are final: what becomes of the pods later is not the upgrade's doing.
        if !matches!(newest.result, UpgradeResult::Succeeded | UpgradeResult::RolledBack) {
            conclude(newest, outcome, now);
        }
        return history;
    }
    if let Some(unfinished) = history.first_mut().filter(|newest| newest.result == UpgradeResult::Running) {
        unfinished.result = UpgradeResult::Superseded;
        unfinished.ended = Some(Time(now));
    }
    let mut record = UpgradeRecord {
        from: before.and_then(|before| before.version.clone()),
        to: asked.version,
        image: asked.image,
        attempt: course.attempt.clone(),
        result: UpgradeResult::Running,
        reason: None,
        message: None,
        started: Time(now),
        ended: None,
    };
    conclude(&mut record, outcome, now);
    history.insert(0, record);
    trim(history)
}

/// Whether the release asked for has come to run everywhere. Since then a service may have been asked for that did not run, or
/// for another version of one.
pub(super) fn has_succeeded(of: &Validated, history: &[UpgradeRecord]) -> bool {
    let asked = Release { version: of.version.clone(), image: of.image.reference.clone() };
    history.first().is_some_and(|newest| is_of(newest, &asked) && newest.result == UpgradeResult::Succeeded)
}

/// Why the release asked for, as it is described now, failed, if it did.
pub(super) fn failed<'a>(course: &Course, history: &'a [UpgradeRecord]) -> Option<&'a str> {
    let newest = history.first().filter(|newest| newest.attempt == course.attempt)?;
    (newest.result == UpgradeResult::Failed).then(|| newest.message.as_deref().unwrap_or("it could not be carried out"))
}

fn conclude(record: &mut UpgradeRecord, outcome: Outcome, now: Timestamp) {
    let (result, cause) = match outcome {
        Outcome::Running => (UpgradeResult::Running, None),
        Outcome::Succeeded => (UpgradeResult::Succeeded, None),
        Outcome::Failed(reason, message) => (UpgradeResult::Failed, Some((reason, message))),
        Outcome::TakenBack(reason, message) => (UpgradeResult::RolledBack, Some((reason, message))),
    };
    if record.result != result {
        record.ended = (result != UpgradeResult::Running).then_some(Time(now));
    }
    record.result = result;
    (record.reason, record.message) = cause.map(|(reason, message)| (reason.as_str().to_owned(), message)).unzip();
}

/// Keeps the newest entries, and the last good one among them: without it there would be no way back.
fn trim(mut history: Vec<UpgradeRecord>) -> Vec<UpgradeRecord> {
    let good = |record: &UpgradeRecord| record.result == UpgradeResult::Succeeded;
    let last_good = history.iter().position(good);
    if let Some(place) = last_good.filter(|place| *place >= LONGEST_HISTORY) {
        history.swap(LONGEST_HISTORY - 1, place);
    }
    history.truncate(LONGEST_HISTORY);
    history
}

#[cfg(test)]
mod tests;
