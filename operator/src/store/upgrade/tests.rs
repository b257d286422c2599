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
    for mended in ["env: [{name: X, value: y}]", "pod: {nodeSelector: {disk: fast}}"] {
        let mended = validated("2.0.0", &format!(", services: [{{name: cart, {mended}}}]"));
        let again = course(&mended, Some(&before));
        assert_eq!((again.release.version.as_str(), again.taken_back.is_none()), ("2.0.0", true));
    }
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

#[test]
fn a_way_back_that_fails_as_well_does_not_go_on_to_what_ran_before_it() {
    let done = |of: &Validated, store: &StoreStatus, outcome, at| status(after(of, store, outcome, at), "1.0.0");
    let (old, good, bad) = (validated("0.9.0", ""), validated("1.0.0", ""), validated("2.0.0", ""));
    let mut store = done(&old, &StoreStatus::default(), Outcome::Succeeded, 1);
    store = done(&good, &store, Outcome::Succeeded, 2);
    store = done(&bad, &store, Outcome::Running, 3);
    store = done(&good, &store, Outcome::Running, 4);
    assert!(!turned(&good, &store, &rolling_out("1.0.0", Reason::ProgressDeadlineExceeded)));
}
