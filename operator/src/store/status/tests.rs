mod sleep;

use std::{collections::BTreeMap, sync::Arc};

use api::{Store, StoreDatabase, StoreService, StoreTopic};
use serde_json::{Value, json};

use super::*;
use crate::refused::Podless;
use crate::store::{
    apply::Part, dereference::Server, external::ExternalCache, names::TOPICS, plan::plan, upgrade::course,
    validate::validate,
};

fn store(version: &str) -> Store {
    serde_json::from_value(json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
        "metadata": {"name": "green", "namespace": "shop"},
        "spec": {"version": version, "exposure": {"nodePort": {"port": 30080}}},
    }))
    .unwrap()
}

fn ready(status: &str, reason: &str, generation: i64) -> Value {
    json!([{
        "type": "Ready", "status": status, "reason": reason, "message": "so it is",
        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
    }])
}

fn child(kind: &str, name: &str, spec: &Value, status: Value) -> Value {
    let mut child = json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "generation": 2}, "spec": spec,
    });
    child.as_object_mut().unwrap().insert("status".to_owned(), status);
    child
}

fn service(name: ServiceName, version: &str, conditions: Value) -> Arc<StoreService> {
    let spec = json!({"store": "green", "image": format!("greencommerce/services:{version}")});
    let mut status = json!({"observedGeneration": 2, "version": version, "readyReplicas": 1, "desiredReplicas": 1});
    status.as_object_mut().unwrap().insert("conditions".to_owned(), conditions);
    Arc::new(serde_json::from_value(child("StoreService", name.as_str(), &spec, status)).unwrap())
}

fn database() -> Arc<StoreDatabase> {
    let databases =
        ["auth", "catalog", "inventory", "orders"].map(|name| json!({"name": name, "ready": true, "secretName": ""}));
    let status = json!({"conditions": ready("True", "AllReady", 2), "databases": databases});
    Arc::new(serde_json::from_value(child("StoreDatabase", "green", &json!({}), status)).unwrap())
}

fn topic(topic: &str, conditions: Value) -> Arc<StoreTopic> {
    let name = format!("green-{}", topic.replace('.', "-"));
    let spec = json!({"bootstrapServers": "kafka:9092", "topicName": topic});
    let mut status = json!({});
    status.as_object_mut().unwrap().insert("conditions".to_owned(), conditions);
    Arc::new(serde_json::from_value(child("StoreTopic", &name, &spec, status)).unwrap())
}

fn server(claim: &str) -> Server {
    let set = json!({
        "metadata": {"name": claim, "generation": 1}, "spec": {"selector": {}, "template": {}},
        "status": {"replicas": 1, "observedGeneration": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"},
    });
    let volume = json!({
        "metadata": {"name": claim}, "spec": {"resources": {"requests": {"storage": "5Gi"}}},
        "status": {"phase": "Bound", "capacity": {"storage": "5Gi"}},
    });
    let claim = serde_json::from_value(volume).unwrap();
    Server {
        stateful_set: Some(Arc::new(serde_json::from_value(set).unwrap())),
        pods: Vec::new(),
        podless: None,
        storage: crate::storage::Observed { claim: Some(claim), class: None },
    }
}

/// A store of which every part is ready.
fn complete(version: &str) -> Seen {
    let mut seen = Seen {
        database: Some(database()),
        topics: TOPICS.map(|name| topic(name, ready("True", "AllReady", 2))).into(),
        services: BTreeMap::new(),
        kafka: server("green-kafka"),
        cache: server("green-cache"),
        ..Seen::default()
    };
    let validated = validate(&store(version), &seen).unwrap();
    let plan = plan(&validated, &seen, course(&validated, None));
    seen.jobs = plan
        .migrations
        .keys()
        .map(|service| {
            Arc::new(
                serde_json::from_value(json!({
                    "metadata": {"name": validated.names.migration(*service, &plan.hashes[service].job), "labels": {
                        "app.kubernetes.io/name": service.as_str(), "greencommerce.dev/image": plan.hashes[service].label,
                    }},
                    "status": {"conditions": [{"type": "Complete", "status": "True"}]},
                }))
                .unwrap(),
            )
        })
        .collect();
    seen.services =
        ServiceName::ALL.into_iter().map(|name| (name, service(name, version, ready("True", "AllReady", 2)))).collect();
    seen
}

fn look(seen: &Seen, wrote: &Wrote) -> (StoreStatus, Vec<Finding>) {
    let validated = validate(&store("1.0.0"), seen).unwrap();
    let plan = plan(&validated, seen, course(&validated, None));
    let before = StoreStatus { version: Some("0.9.0".to_owned()), ..StoreStatus::default() };
    derive(&validated, seen, &plan, Some(&before), wrote, Timestamp::UNIX_EPOCH)
}

fn finding_of(findings: &[Finding], condition: ConditionType) -> (bool, Reason, &str) {
    let finding = findings.iter().find(|finding| finding.condition == condition).unwrap();
    (finding.holds, finding.reason, finding.message.as_str())
}

#[test]
fn a_database_that_is_migrated_anew_is_told_and_leaves_version_and_history_alone() {
    let mut seen = complete("1.0.0");
    let (ran, _) = look(&seen, &Wrote::default());
    for known in &mut Arc::make_mut(seen.database.as_mut().unwrap()).status.as_mut().unwrap().databases {
        known.identity = Some("7/16384".to_owned());
    }
    let again = |seen: &Seen| {
        let validated = validate(&store("1.0.0"), seen).unwrap();
        let plan = plan(&validated, seen, course(&validated, Some(&ran)));
        derive(&validated, seen, &plan, Some(&ran), &Wrote::default(), Timestamp::UNIX_EPOCH)
    };
    // Which database its migrations were for was not noted: they run once more behind a store that is ready.
    let (_, findings) = again(&seen);
    assert!(finding_of(&findings, ConditionType::Ready).0, "{findings:?}");
    // None was for this one: it is empty.
    seen.jobs.clear();
    let (status, findings) = again(&seen);
    let told = |condition| (finding_of(&findings, condition).0, finding_of(&findings, condition).1);
    assert_eq!(told(ConditionType::Ready), (false, Reason::Migrating));
    assert_eq!(told(ConditionType::Progressing), (true, Reason::Migrating));
    assert_eq!(told(ConditionType::Upgraded), (true, Reason::UpToDate));
    assert_eq!((&status.version, &status.history), (&ran.version, &ran.history));
}

#[test]
fn a_store_whose_every_part_is_ready_is_ready() {
    let (status, findings) = look(&complete("1.0.0"), &Wrote::default());
    let not_ready: Vec<_> = findings.iter().filter(|finding| !finding.holds).map(|finding| finding.condition).collect();
    assert_eq!(not_ready, [ConditionType::Progressing, ConditionType::Degraded, ConditionType::Suspended]);
    assert_eq!(status.version.as_deref(), Some("1.0.0"));
    assert_eq!(status.endpoints.unwrap().node_port, Some(30080));
    let counts: Vec<_> = status.services.iter().map(|service| (service.name.as_str(), service.ready)).collect();
    assert_eq!(counts[0], ("auth", 1));
    assert_eq!(counts.len(), 6);
}

#[test]
fn nothing_that_was_written_just_now_counts_as_ready() {
    for (part, condition) in [
        (Part::Database, ConditionType::DatabaseReady),
        (Part::Kafka, ConditionType::EventsReady),
        (Part::Topics, ConditionType::EventsReady),
        (Part::Cache, ConditionType::CacheReady),
        (Part::Services, ConditionType::ServicesReady),
    ] {
        let (status, findings) = look(&complete("1.0.0"), &Wrote::from(part));
        assert_eq!(finding_of(&findings, condition).1, Reason::ChildPending, "{part:?}");
        assert!(!finding_of(&findings, ConditionType::Ready).0, "{part:?}");
        let version = if part == Part::Services { "0.9.0" } else { "1.0.0" };
        assert_eq!(status.version.as_deref(), Some(version), "{part:?}");
    }
}

#[test]
fn a_child_that_speaks_of_a_former_generation_does_not_count() {
    let mut seen = complete("1.0.0");
    seen.topics[0] = topic("user.events", ready("True", "AllReady", 1));
    let (_, findings) = look(&seen, &Wrote::default());
    let (holds, reason, message) = finding_of(&findings, ConditionType::Ready);
    assert_eq!((holds, reason), (false, Reason::ChildPending));
    assert!(message.contains("green-user-events"), "{message}");
}

#[test]
fn a_false_condition_names_the_child_and_its_cause() {
    let mut seen = complete("1.0.0");
    let broken = service(ServiceName::Cart, "1.0.0", ready("False", "CrashLooping", 2));
    seen.services.insert(ServiceName::Cart, broken);
    let starting = service(ServiceName::Auth, "1.0.0", ready("False", "PodsStarting", 2));
    seen.services.insert(ServiceName::Auth, starting);
    let (status, findings) = look(&seen, &Wrote::default());
    for condition in [ConditionType::Ready, ConditionType::ServicesReady, ConditionType::Progressing] {
        let expected = (false, Reason::CrashLooping, "StoreService green-cart: so it is");
        assert_eq!(finding_of(&findings, condition), expected);
    }
    let message = "version 1.0.0 is being rolled out; StoreService green-cart: so it is";
    assert_eq!(finding_of(&findings, ConditionType::Upgraded), (false, Reason::CrashLooping, message));
    assert_eq!(status.version.as_deref(), Some("0.9.0"));
}

#[test]
fn an_upgrade_is_told_step_by_step() {
    let mut seen = complete("1.0.0");
    seen.services = complete("0.9.0").services;
    let (status, findings) = look(&seen, &Wrote::default());
    assert_eq!(finding_of(&findings, ConditionType::Upgraded).1, Reason::Upgrading);
    assert!(finding_of(&findings, ConditionType::Progressing).0);
    assert_eq!(status.version.as_deref(), Some("0.9.0"));
    seen.jobs.clear();
    let (_, findings) = look(&seen, &Wrote::default());
    assert_eq!(finding_of(&findings, ConditionType::Upgraded).1, Reason::Migrating);
    seen.database = None;
    let (_, findings) = look(&seen, &Wrote::default());
    assert_eq!(finding_of(&findings, ConditionType::Upgraded).1, Reason::WaitingForData);
}

#[test]
fn a_broker_of_a_former_revision_is_not_ready() {
    let mut seen = complete("1.0.0");
    let mut set = (**seen.kafka.stateful_set.as_ref().unwrap()).clone();
    set.status.as_mut().unwrap().update_revision = Some("b".to_owned());
    seen.kafka.stateful_set = Some(Arc::new(set));
    let (_, findings) = look(&seen, &Wrote::default());
    let expected = (false, Reason::PodsStarting, "StatefulSet green-kafka: its pod is starting");
    assert_eq!(finding_of(&findings, ConditionType::EventsReady), expected);
    assert!(finding_of(&findings, ConditionType::CacheReady).0);
}

/// The status of a store that runs 1.0.0 after 2.0.0 was taken back.
fn went_back(seen: &Seen) -> StoreStatus {
    let (good, bad) = (validate(&store("1.0.0"), seen).unwrap(), validate(&store("2.0.0"), seen).unwrap());
    let mut before = StoreStatus::default();
    for (of, outcome) in [
        (&good, upgrade::Outcome::Succeeded),
        (&bad, upgrade::Outcome::TakenBack(Reason::ProgressDeadlineExceeded, "green-cart: no progress".to_owned())),
    ] {
        before.history =
            upgrade::history(of, &course(of, Some(&before)), Some(&before), outcome, Timestamp::UNIX_EPOCH);
    }
    before
}

fn look_back(seen: &Seen) -> (StoreStatus, Vec<Finding>) {
    let (bad, before) = (validate(&store("2.0.0"), seen).unwrap(), went_back(seen));
    let plan = plan(&bad, seen, course(&bad, Some(&before)));
    derive(&bad, seen, &plan, Some(&before), &Wrote::default(), Timestamp::UNIX_EPOCH)
}

#[test]
fn a_store_that_went_back_serves_and_yet_is_not_ready() {
    let (status, findings) = look_back(&complete("1.0.0"));
    assert_eq!(status.version.as_deref(), Some("1.0.0"));
    for condition in [ConditionType::Ready, ConditionType::Upgraded] {
        let (holds, reason, message) = finding_of(&findings, condition);
        assert_eq!((holds, reason), (false, Reason::UpgradeRolledBack));
        assert!(message.contains("2.0.0 was taken back") && message.contains("no progress"), "{message}");
    }
    assert!(finding_of(&findings, ConditionType::Degraded).0);
    assert!(finding_of(&findings, ConditionType::ServicesReady).0);
}

#[test]
fn pods_that_are_replaced_later_do_not_make_the_version_another() {
    let mut seen = complete("1.0.0");
    let of = validate(&store("1.0.0"), &seen).unwrap();
    let (before, _) = look(&seen, &Wrote::default());
    let restarting = service(ServiceName::Cart, "1.0.0", ready("False", "RollingOut", 2));
    seen.services.insert(ServiceName::Cart, restarting);
    let plan = plan(&of, &seen, course(&of, Some(&before)));
    let (_, findings) = derive(&of, &seen, &plan, Some(&before), &Wrote::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(finding_of(&findings, ConditionType::Upgraded).1, Reason::UpToDate);
    assert!(!finding_of(&findings, ConditionType::Ready).0);
}

/// What is told of a store that runs 1.0.0 throughout and of which something else is asked now.
fn asked_anew(change: &Value, seen: &Seen, suspend: bool) -> Vec<Finding> {
    let (before, _) = look(&complete("1.0.0"), &Wrote::default());
    let mut store = store("1.0.0");
    store.spec.services = serde_json::from_value(change.clone()).unwrap();
    store.spec.suspend = suspend;
    let of = validate(&store, seen).unwrap();
    let plan = plan(&of, seen, course(&of, Some(&before)));
    derive(&of, seen, &plan, Some(&before), &Wrote::default(), Timestamp::UNIX_EPOCH).1
}

#[test]
fn a_version_of_one_service_counts_as_running_only_when_its_every_pod_has_it() {
    let change = json!([{"name": "cart", "version": "1.1.0"}]);
    let mut seen = complete("1.0.0");
    let told = |seen: &Seen| {
        let findings = asked_anew(&change, seen, false);
        let (holds, reason, message) = finding_of(&findings, ConditionType::Upgraded);
        (holds, reason, message.to_owned())
    };
    let expected = "version 1.0.0 runs, but not yet: cart 1.1.0".to_owned();
    assert_eq!(told(&seen), (false, Reason::Upgrading, expected.clone()));
    // It rolls: its pods are still of the version before.
    let mut rolling = StoreService::clone(&service(ServiceName::Cart, "1.1.0", ready("False", "RollingOut", 2)));
    rolling.status.as_mut().unwrap().image = Some("greencommerce/services:1.0.0".to_owned());
    seen.services.insert(ServiceName::Cart, Arc::new(rolling));
    assert_eq!(told(&seen), (false, Reason::Upgrading, expected));
    seen.services.insert(ServiceName::Cart, service(ServiceName::Cart, "1.1.0", ready("True", "AllReady", 2)));
    assert!(told(&seen).0);
}

#[test]
fn a_service_that_is_enabled_again_does_not_run_before_it_is_there() {
    let mut seen = complete("1.0.0");
    seen.services.remove(&ServiceName::Orders);
    let findings = asked_anew(&json!([]), &seen, false);
    let (holds, _, message) = finding_of(&findings, ConditionType::Upgraded);
    assert_eq!((holds, message), (false, "version 1.0.0 runs, but not yet: orders 1.0.0"));
}

#[test]
fn releases_of_the_same_version_are_told_apart_by_their_images() {
    let names = |from: &str, to: &str| {
        let release = Release { version: "0.1.0".to_owned(), image: to.to_owned() };
        let mut record = went_back(&complete("1.0.0")).history[0].clone();
        (record.to, record.image) = ("0.1.0".to_owned(), from.to_owned());
        names_of(&record, &release).0
    };
    assert_eq!(names("shop:b", "shop:a"), "version 0.1.0 with the image tag b");
    assert_eq!(names("mirror/shop:a", "shop:a"), "version 0.1.0 with the image mirror/shop:a");
}

#[test]
fn a_broker_whose_pod_is_refused_needs_a_hand() {
    let mut seen = complete("1.0.0");
    let mut set = (**seen.kafka.stateful_set.as_ref().unwrap()).clone();
    set.status.as_mut().unwrap().ready_replicas = None;
    seen.kafka.stateful_set = Some(Arc::new(set));
    let refused = Some("its pod is forbidden: exceeded quota".to_owned());
    seen.kafka.podless = Some(Podless { refused, ..Podless::default() });
    let (_, findings) = look(&seen, &Wrote::default());
    let (holds, reason, message) = finding_of(&findings, ConditionType::EventsReady);
    assert_eq!((holds, reason), (false, Reason::PodsRefused));
    assert!(message.contains("green-kafka") && message.contains("exceeded quota"), "{message}");
    assert!(finding_of(&findings, ConditionType::Degraded).0);
}

#[test]
fn a_broker_without_its_storage_class_is_told_by_the_class_and_not_by_its_pod() {
    let mut seen = complete("1.0.0");
    let mut set = (**seen.kafka.stateful_set.as_ref().unwrap()).clone();
    set.status.as_mut().unwrap().ready_replicas = None;
    seen.kafka.stateful_set = Some(Arc::new(set));
    let refused = Some("its pod has no volume".to_owned());
    seen.kafka.podless = Some(Podless { refused, ..Podless::default() });
    let claim = seen.kafka.storage.claim.as_mut().unwrap();
    claim.status = None;
    claim.spec.as_mut().unwrap().storage_class_name = Some("unheard-of".to_owned());
    seen.kafka.storage.class = Some(crate::storage::Class::Missing);
    let (_, findings) = look(&seen, &Wrote::default());
    let (holds, reason, message) = finding_of(&findings, ConditionType::Ready);
    assert_eq!((holds, reason), (false, Reason::StorageClassMissing));
    assert!(message.contains("unheard-of"), "{message}");
}

#[test]
fn services_with_a_version_of_their_own_are_named() {
    let mut mixed = store("1.0.0");
    mixed.spec.services = serde_json::from_value(json!([{"name": "cart", "version": "1.1.0"}])).unwrap();
    let told = |store: &Store| what_runs(&validate(store, &Seen::default()).unwrap());
    assert_eq!(told(&store("1.0.0")), "every service runs version 1.0.0");
    assert_eq!(told(&mixed), "every service runs version 1.0.0, or its own: cart 1.1.0");
}

#[test]
fn the_way_back_is_told_as_such() {
    let mut seen = complete("1.0.0");
    let starting = service(ServiceName::Cart, "1.0.0", ready("False", "RollingOut", 2));
    seen.services.insert(ServiceName::Cart, starting);
    let (_, findings) = look_back(&seen);
    assert_eq!(finding_of(&findings, ConditionType::Ready).1, Reason::RollingBack);
    assert!(finding_of(&findings, ConditionType::Progressing).0);
}
