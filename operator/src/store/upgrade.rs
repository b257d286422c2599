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
        let Service { version, env, resources, .. } = service;
        // Left out where there is none, so that what was noted before there were such versions still holds.
        let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        format!("{name:?} {env:?} {resources:?}{version}")
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
        (Some(bad), Some(good)) => Course { release: good, taken_back: Some(bad.clone()), way_back: None, attempt },
        _ => Course { release: asked, taken_back: None, way_back, attempt },
    }
}

fn is_of(record: &UpgradeRecord, release: &Release) -> bool {
    record.to == release.version && record.image == release.image
}

fn last_good(history: &[UpgradeRecord], asked: &Release) -> Option<Release> {
    let good = |record: &&UpgradeRecord| record.result == UpgradeResult::Succeeded && record.image != asked.image;
    history.iter().find(good).map(|record| Release { version: record.to.clone(), image: record.image.clone() })
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

/// Whether the release asked for has come to run everywhere.
pub(super) fn has_succeeded(of: &Validated, history: &[UpgradeRecord]) -> bool {
    let asked = Release { version: of.version.clone(), image: of.image.reference.clone() };
    history.first().is_some_and(|newest| is_of(newest, &asked) && newest.result == UpgradeResult::Succeeded)
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
mod tests {
    use std::sync::Arc;

    use api::Store;
    use serde_json::json;

    use super::*;
    use crate::store::{plan::plan, validate::validate};

    fn validated(version: &str, more: &str) -> Validated {
        let store: Store = serde_yaml::from_str(&format!(
            "{{apiVersion: greencommerce.dev/v1alpha1, kind: Store, metadata: {{name: green, namespace: shop}}, \
               spec: {{version: {version}{more}}}}}"
        ))
        .unwrap();
        validate(&store, &Seen::default()).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn status(history: Vec<UpgradeRecord>, version: &str) -> StoreStatus {
        StoreStatus { history, version: Some(version.to_owned()), ..StoreStatus::default() }
    }

    /// The history after one more look at a store.
    fn after(of: &Validated, before: &StoreStatus, outcome: Outcome, now: i64) -> Vec<UpgradeRecord> {
        history(of, &course(of, Some(before)), Some(before), outcome, at(now))
    }

    fn told(history: &[UpgradeRecord]) -> Vec<(Option<&str>, &str, UpgradeResult)> {
        history.iter().map(|record| (record.from.as_deref(), record.to.as_str(), record.result)).collect()
    }

    fn missed() -> Outcome {
        Outcome::TakenBack(Reason::ProgressDeadlineExceeded, "StoreService green-cart: no progress".to_owned())
    }

    /// A store that ran 1.0.0 and took 2.0.0 back.
    fn taken_back(of: &Validated) -> StoreStatus {
        let good = after(&validated("1.0.0", ""), &StoreStatus::default(), Outcome::Succeeded, 1);
        let rolling = after(of, &status(good, "1.0.0"), Outcome::Running, 2);
        status(after(of, &status(rolling, "1.0.0"), missed(), 3), "1.0.0")
    }

    fn rolling_out(image: &str, reason: Reason) -> Seen {
        let service: StoreService = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": "green-cart", "generation": 4},
            "spec": {"store": "green", "image": format!("greencommerce/services:{image}")},
            "status": {"observedGeneration": 4, "conditions": [{
                "type": "Ready", "status": "False", "reason": reason.as_str(), "message": "no progress",
                "observedGeneration": 4, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        }))
        .unwrap();
        Seen { services: [(ServiceName::Cart, Arc::new(service))].into(), ..Seen::default() }
    }

    fn turned(of: &Validated, before: &StoreStatus, seen: &Seen) -> bool {
        let plan = plan(of, seen, course(of, Some(before)));
        matches!(outcome(of, seen, &plan, false), Outcome::TakenBack(..))
    }

    #[test]
    fn a_first_version_has_nothing_before_it_and_nothing_to_go_back_to() {
        let of = validated("1.0.0", "");
        let empty = StoreStatus::default();
        let running = after(&of, &empty, Outcome::Running, 1);
        assert_eq!(told(&running), [(None, "1.0.0", UpgradeResult::Running)]);
        let before = StoreStatus { history: running, ..StoreStatus::default() };
        assert!(!turned(&of, &before, &rolling_out("1.0.0", Reason::ProgressDeadlineExceeded)));
        let done = after(&of, &before, Outcome::Succeeded, 5);
        assert_eq!(told(&done), [(None, "1.0.0", UpgradeResult::Succeeded)]);
        assert_eq!((done[0].started.0, done[0].ended.as_ref().unwrap().0), (at(1), at(5)));
    }

    #[test]
    fn services_go_back_when_their_new_pods_miss_the_deadline_and_not_for_lesser_trouble() {
        let good = after(&validated("1.0.0", ""), &StoreStatus::default(), Outcome::Succeeded, 1);
        let of = validated("2.0.0", "");
        let before = status(good, "1.0.0");
        assert!(turned(&of, &before, &rolling_out("2.0.0", Reason::ProgressDeadlineExceeded)));
        assert!(!turned(&of, &before, &rolling_out("2.0.0", Reason::ImagePullFailed)));
        // Of the version before: that is not the new one's fault.
        assert!(!turned(&of, &before, &rolling_out("1.0.0", Reason::ProgressDeadlineExceeded)));
        let by_hand = validated("2.0.0", ", upgrade: {autoRollback: false}");
        assert!(!turned(&by_hand, &before, &rolling_out("2.0.0", Reason::ProgressDeadlineExceeded)));
    }

    const OWN: &str = ", services: [{name: cart, version: 9.9.9}]";

    #[test]
    fn a_service_with_a_version_of_its_own_takes_nothing_back_and_keeps_it_on_the_way_back() {
        let good = after(&validated("1.0.0", ""), &StoreStatus::default(), Outcome::Succeeded, 1);
        let of = validated("2.0.0", OWN);
        let before = status(good, "1.0.0");
        let missed_by = |image: &str| rolling_out(image, Reason::ProgressDeadlineExceeded);
        assert!(!turned(&of, &before, &missed_by("9.9.9")));
        let plan = plan(&of, &missed_by("9.9.9"), course(&of, Some(&before)));
        // It is told all the same.
        assert!(matches!(outcome(&of, &missed_by("9.9.9"), &plan, false), Outcome::Failed(..)));
        // Any other service of the same store is.
        let mut seen = missed_by("2.0.0");
        seen.services = seen.services.into_values().map(|service| (ServiceName::Orders, service)).collect();
        assert!(turned(&of, &before, &seen));

        let back = course(&of, Some(&taken_back(&of)));
        let images = [ServiceName::Cart, ServiceName::Orders].map(|service| back.image_of(&of, service));
        assert_eq!(images, ["greencommerce/services:9.9.9", "greencommerce/services:1.0.0"]);
        // Another version of its own is another attempt.
        let other = validated("2.0.0", ", services: [{name: cart, version: 9.9.8}]");
        assert!(course(&other, Some(&taken_back(&of))).taken_back.is_none());
    }

    #[test]
    fn a_version_that_has_run_is_not_taken_back_when_its_pods_fall_ill_later() {
        let of = validated("2.0.0", "");
        let good = after(&validated("1.0.0", ""), &StoreStatus::default(), Outcome::Succeeded, 1);
        let before = status(after(&of, &status(good, "1.0.0"), Outcome::Succeeded, 2), "2.0.0");
        assert!(!turned(&of, &before, &rolling_out("2.0.0", Reason::ProgressDeadlineExceeded)));
        // Neither when the cause is a setting that was changed since.
        let changed = validated("2.0.0", ", services: [{name: cart, env: [{name: X, value: y}]}]");
        assert!(!turned(&changed, &before, &rolling_out("2.0.0", Reason::ProgressDeadlineExceeded)));
        let ill = Outcome::Failed(Reason::ProgressDeadlineExceeded, String::new());
        assert_eq!(told(&after(&changed, &before, ill, 3)), told(&before.history));
    }

    #[test]
    fn a_version_that_was_taken_back_is_not_tried_again_until_the_spec_changes() {
        let of = validated("2.0.0", "");
        let before = taken_back(&of);
        assert_eq!(
            told(&before.history),
            [(Some("1.0.0"), "2.0.0", UpgradeResult::RolledBack), (None, "1.0.0", UpgradeResult::Succeeded)]
        );
        let there = course(&of, Some(&before));
        assert_eq!((there.release.version.as_str(), there.taken_back.is_some()), ("1.0.0", true));
        assert_eq!(after(&of, &before, Outcome::Running, 9), before.history);
        // How many pods run does not make the version better.
        let scaled = validated("2.0.0", ", services: [{name: cart, replicas: 3}]");
        assert!(course(&scaled, Some(&before)).taken_back.is_some());
        let mended = validated("2.0.0", ", services: [{name: cart, env: [{name: X, value: y}]}]");
        let again = course(&mended, Some(&before));
        assert_eq!((again.release.version.as_str(), again.taken_back.is_none()), ("2.0.0", true));
    }

    #[test]
    fn going_back_by_hand_clears_the_mark_of_the_bad_version() {
        let bad = validated("2.0.0", "");
        let good = validated("1.0.0", "");
        let back = status(after(&good, &taken_back(&bad), Outcome::Succeeded, 9), "1.0.0");
        assert_eq!(told(&back.history)[0], (Some("1.0.0"), "1.0.0", UpgradeResult::Succeeded));
        assert!(course(&bad, Some(&back)).taken_back.is_none());
    }

    #[test]
    fn an_upgrade_that_another_overtakes_is_told_as_such() {
        let good = after(&validated("1.0.0", ""), &StoreStatus::default(), Outcome::Succeeded, 1);
        let rolling = after(&validated("2.0.0", ""), &status(good, "1.0.0"), Outcome::Running, 2);
        let next = after(&validated("3.0.0", ""), &status(rolling, "1.0.0"), Outcome::Running, 3);
        let results: Vec<UpgradeResult> = next.iter().map(|record| record.result).collect();
        assert_eq!(results, [UpgradeResult::Running, UpgradeResult::Superseded, UpgradeResult::Succeeded]);
    }

    #[test]
    fn a_failed_migration_may_be_tried_again_and_succeed() {
        let good = after(&validated("1.0.0", ""), &StoreStatus::default(), Outcome::Succeeded, 1);
        let of = validated("2.0.0", "");
        let boom = Outcome::Failed(Reason::MigrationFailed, "boom".to_owned());
        let failed = after(&of, &status(good, "1.0.0"), boom, 2);
        assert_eq!((failed[0].result, failed[0].message.as_deref()), (UpgradeResult::Failed, Some("boom")));
        assert!(course(&of, Some(&status(failed.clone(), "1.0.0"))).taken_back.is_none());
        let done = after(&of, &status(failed, "1.0.0"), Outcome::Succeeded, 3);
        assert_eq!((done[0].result, done[0].message.as_deref()), (UpgradeResult::Succeeded, None));
    }

    #[test]
    fn ten_upgrades_are_kept_and_the_last_that_worked_among_them() {
        let mut store = StoreStatus::default();
        store.history = after(&validated("1.0.0", ""), &store, Outcome::Succeeded, 1);
        for minor in 1..=15 {
            let of = validated(&format!("1.{minor}.0"), "");
            store.history = after(&of, &store, missed(), minor);
        }
        assert_eq!(store.history.len(), 10);
        assert_eq!(course(&validated("1.15.0", ""), Some(&store)).release.version, "1.0.0");
    }
}
