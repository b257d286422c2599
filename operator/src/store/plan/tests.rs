//! What may happen when.

use std::sync::Arc;

use api::{Store, StoreStatus};
use serde_json::{Value, json};

use super::*;
use crate::store::{
    migration::EXIT_SCHEMA_TOO_NEW,
    upgrade::{Outcome, course, history},
    validate::validate,
};

fn validated(version: &str) -> Validated {
    let store: Store = serde_json::from_value(json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
        "metadata": {"name": "green", "namespace": "shop"}, "spec": {"version": version},
    }))
    .unwrap();
    validate(&store, &Seen::default()).unwrap()
}

/// The plan of a store without a history.
fn asked(of: &Validated, seen: &Seen) -> Plan {
    plan(of, seen, course(of, None))
}

fn says(status: &str) -> Value {
    json!([{
        "type": "Ready", "status": status, "reason": "AllReady", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }])
}

fn with_databases() -> Seen {
    let ready = |name: &str| json!({"name": name, "ready": true, "secretName": ""});
    let databases = ["auth", "catalog", "inventory", "orders"].map(ready);
    let database = serde_json::from_value(json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
        "metadata": {"name": "green", "generation": 1}, "spec": {},
        "status": {"databases": databases, "conditions": says("True")},
    }))
    .unwrap();
    Seen { database: Some(Arc::new(database)), ..Seen::default() }
}

fn job(of: &Validated, service: ServiceName, condition: Option<&str>) -> Arc<Job> {
    job_for(of, &Seen::default(), service, condition)
}

/// The Job that the databases seen call for.
fn job_for(of: &Validated, seen: &Seen, service: ServiceName, condition: Option<&str>) -> Arc<Job> {
    let hashes = &asked(of, seen).hashes[&service];
    let conditions: Vec<Value> =
        condition.iter().map(|type_| json!({"type": type_, "status": "True", "message": "boom"})).collect();
    let job = serde_json::from_value(json!({
        "metadata": {
            "name": of.names.migration(service, &hashes.job),
            "labels": {"app.kubernetes.io/name": service.as_str(), "greencommerce.dev/image": hashes.label},
        },
        "status": {"conditions": conditions},
    }));
    Arc::new(job.unwrap())
}

fn all_migrated(of: &Validated) -> Vec<Arc<Job>> {
    let services = ServiceName::ALL.into_iter().filter(|service| has_database(*service));
    services.map(|service| job(of, service, Some("Complete"))).collect()
}

/// A service that is to run one image, and whose every pod runs another.
fn service(image: &str, running: &str) -> Arc<StoreService> {
    live(image, running, "True")
}

fn live(image: &str, running: &str, serves: &str) -> Arc<StoreService> {
    let repository = |tag: &str| format!("greencommerce/services:{tag}");
    let service = serde_json::from_value(json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
        "metadata": {"name": "x", "generation": 1},
        "spec": {"store": "green", "image": repository(image)},
        "status": {
            "observedGeneration": 1, "version": running, "image": repository(running), "conditions": says(serves),
        },
    }));
    Arc::new(service.unwrap())
}

fn everywhere(image: &str) -> BTreeMap<ServiceName, Arc<StoreService>> {
    ServiceName::ALL.into_iter().map(|name| (name, service(image, image))).collect()
}

fn tags(plan: &Plan) -> Vec<(ServiceName, &str)> {
    let mut tags: Vec<_> = plan.images.iter().map(|(name, image)| (*name, image.rsplit(':').next().unwrap())).collect();
    tags.sort_by_key(|(name, _)| ServiceName::ALL.iter().position(|other| other == name));
    tags
}

#[test]
fn nothing_starts_before_the_databases_are_there() {
    let plan = asked(&validated("1.0.0"), &Seen::default());
    assert!(plan.migrations.values().all(|migration| *migration == Migration::Waiting));
    assert!(plan.images.is_empty());
}

#[test]
fn migrations_start_with_the_databases_and_services_after_them() {
    let of = validated("1.0.0");
    let mut seen = with_databases();
    let started = asked(&of, &seen);
    assert!(started.migrations.values().all(|migration| *migration == Migration::Running(None)));
    assert!(started.images.is_empty());
    seen.jobs = all_migrated(&of);
    let done = asked(&of, &seen);
    assert!(done.migrated());
    assert_eq!(done.images.len(), 6);
}

#[test]
fn a_failed_migration_changes_no_service() {
    let of = validated("2.0.0");
    let mut seen = with_databases();
    seen.services = everywhere("1.0.0");
    seen.jobs = all_migrated(&of);
    seen.jobs[3] = job(&of, ServiceName::Orders, Some("Failed"));
    let plan = asked(&of, &seen);
    assert!(plan.failure().unwrap().1.contains("boom"));
    assert!(tags(&plan).iter().all(|(_, tag)| *tag == "1.0.0"));
}

#[test]
fn services_change_one_after_the_other_in_the_order_of_their_needs() {
    let of = validated("2.0.0");
    let mut seen = with_databases();
    seen.jobs = all_migrated(&of);
    seen.services = everywhere("1.0.0");
    assert_eq!(tags(&asked(&of, &seen))[..2], [(ServiceName::Auth, "2.0.0"), (ServiceName::Inventory, "1.0.0")]);
    seen.services.insert(ServiceName::Auth, service("2.0.0", "1.0.0"));
    assert_eq!(tags(&asked(&of, &seen))[1], (ServiceName::Inventory, "1.0.0"));
    seen.services.insert(ServiceName::Auth, service("2.0.0", "2.0.0"));
    assert_eq!(tags(&asked(&of, &seen))[1..3], [(ServiceName::Inventory, "2.0.0"), (ServiceName::Catalog, "1.0.0")]);
}

#[test]
fn the_next_service_changes_when_the_one_before_is_ready_and_not_when_its_pods_merely_run_the_image() {
    let mut of = validated("2.0.0");
    let mut seen = with_databases();
    seen.jobs = all_migrated(&of);
    seen.services = everywhere("1.0.0");
    seen.services.insert(ServiceName::Auth, live("2.0.0", "2.0.0", "False"));
    assert_eq!(tags(&asked(&of, &seen))[1], (ServiceName::Inventory, "1.0.0"));
    // One with a version of its own, which it has had all the time, may be ill.
    of.services.get_mut(&ServiceName::Auth).unwrap().version = Some("1.0.0".to_owned());
    seen.services.insert(ServiceName::Auth, live("1.0.0", "1.0.0", "False"));
    let own = job_for(&of, &seen, ServiceName::Auth, Some("Complete"));
    seen.jobs.push(own);
    assert_eq!(tags(&asked(&of, &seen))[1], (ServiceName::Inventory, "2.0.0"));
}

#[test]
fn once_the_release_has_run_a_service_that_falls_ill_holds_up_no_other() {
    let mut of = validated("1.0.0");
    let mut seen = with_databases();
    seen.jobs = all_migrated(&of);
    seen.services = everywhere("1.0.0");
    seen.services.insert(ServiceName::Cart, live("1.0.0", "1.0.0", "False"));
    let succeeded = history(&of, &course(&of, None), None, Outcome::Succeeded, Timestamp::UNIX_EPOCH);
    let before = StoreStatus { history: succeeded, ..StoreStatus::default() };
    of.services.get_mut(&ServiceName::Orders).unwrap().version = Some("1.0.1".to_owned());
    let own = job_for(&of, &seen, ServiceName::Orders, Some("Complete"));
    seen.jobs.push(own);
    let orders = |before: Option<&StoreStatus>| {
        plan(&of, &seen, course(&of, before)).images[&ServiceName::Orders].ends_with(":1.0.1")
    };
    assert!(orders(Some(&before)) && !orders(None));
}

#[test]
fn another_repository_is_another_image_although_the_tag_is_the_same() {
    let mut of = validated("1.0.0");
    of.image.reference = "mirror.example/services:1.0.0".to_owned();
    of.image.repository = "mirror.example/services".to_owned();
    let mut seen = with_databases();
    seen.jobs = all_migrated(&of);
    seen.services = everywhere("1.0.0");
    let mut auth = StoreService::clone(&seen.services[&ServiceName::Auth]);
    auth.spec.image.clone_from(&of.image.reference);
    seen.services.insert(ServiceName::Auth, Arc::new(auth.clone()));
    let moved = |plan: &Plan| plan.images.values().filter(|image| image.starts_with("mirror")).count();
    assert_eq!(moved(&asked(&of, &seen)), 1);
    auth.status.as_mut().unwrap().image = Some(of.image.reference.clone());
    seen.services.insert(ServiceName::Auth, Arc::new(auth));
    assert_eq!(moved(&asked(&of, &seen)), 2);
    assert_eq!(behind(&of, &seen).len(), 5);
}

#[test]
fn a_service_that_waits_for_its_image_keeps_what_it_is_described_by() {
    let of = validated("2.0.0");
    let mut seen = with_databases();
    seen.services = everywhere("1.0.0");
    assert_eq!(asked(&of, &seen).held.len(), 6);
    seen.jobs = all_migrated(&of);
    let rolling = asked(&of, &seen);
    assert!(!rolling.held.contains_key(&ServiceName::Auth) && rolling.held.contains_key(&ServiceName::Gateway));
    seen.services = everywhere("2.0.0");
    assert!(asked(&of, &seen).held.is_empty());
}

#[test]
fn a_service_with_a_version_of_its_own_is_migrated_and_rolled_with_it_and_the_others_are_not() {
    let mut of = validated("1.0.0");
    let mut seen = with_databases();
    seen.jobs = all_migrated(&of);
    seen.services = everywhere("1.0.0");
    of.services.get_mut(&ServiceName::Catalog).unwrap().version = Some("1.0.1".to_owned());
    let started = asked(&of, &seen);
    let open: Vec<_> = started.migrations.iter().filter(|(_, state)| **state != Migration::Done).collect();
    assert_eq!(open, [(&ServiceName::Catalog, &Migration::Running(None))]);
    assert!(tags(&started).iter().all(|(_, tag)| *tag == "1.0.0"));
    let own = job_for(&of, &seen, ServiceName::Catalog, Some("Complete"));
    seen.jobs.push(own);
    let done = asked(&of, &seen);
    let changed: Vec<_> = tags(&done).into_iter().filter(|(_, tag)| *tag != "1.0.0").collect();
    assert_eq!(changed, [(ServiceName::Catalog, "1.0.1")]);
    assert_eq!(obsolete_jobs(&done, &seen, &of.names).count(), 1);
}

fn identify(seen: &mut Seen, identity: &str) {
    let database = Arc::make_mut(seen.database.as_mut().unwrap());
    for known in &mut database.status.as_mut().unwrap().databases {
        known.identity = Some(identity.to_owned());
    }
}

#[test]
fn a_database_that_was_made_anew_is_migrated_again_and_no_image_changes_meanwhile() {
    let of = validated("1.0.0");
    let mut seen = with_databases();
    identify(&mut seen, "7/16384");
    let jobs = |seen: &Seen| -> Vec<Arc<Job>> {
        let services = ServiceName::ALL.into_iter().filter(|service| has_database(*service));
        services.map(|service| job_for(&of, seen, service, Some("Complete"))).collect()
    };
    seen.jobs = jobs(&seen);
    seen.services = everywhere("1.0.0");
    assert!(asked(&of, &seen).migrated());
    identify(&mut seen, "7/16999");
    let anew = asked(&of, &seen);
    assert!(anew.migrations.values().all(|migration| *migration == Migration::Running(None)));
    assert!(tags(&anew).iter().all(|(_, tag)| *tag == "1.0.0"));
    seen.jobs.extend(jobs(&seen));
    let done = asked(&of, &seen);
    assert!(done.migrated());
    assert_eq!(obsolete_jobs(&done, &seen, &of.names).count(), 4);
}

#[test]
fn migrations_for_databases_that_were_not_told_apart_run_once_more_and_hold_nothing_up() {
    let of = validated("1.0.0");
    let mut seen = with_databases();
    seen.jobs = all_migrated(&of);
    seen.services = everywhere("1.0.0");
    identify(&mut seen, "7/16384");
    let again = asked(&of, &seen);
    assert!(again.migrated() && again.migrations.values().all(|migration| *migration == Migration::Again));
    assert_eq!(obsolete_jobs(&again, &seen, &of.names).count(), 0);
    let orders = job_for(&of, &seen, ServiceName::Orders, None);
    seen.jobs.push(orders);
    assert_eq!(asked(&of, &seen).migrations[&ServiceName::Orders], Migration::Again);
    let last = seen.jobs.len() - 1;
    seen.jobs[last] = job_for(&of, &seen, ServiceName::Orders, Some("Complete"));
    let done = asked(&of, &seen);
    assert_eq!(done.migrations[&ServiceName::Orders], Migration::Done);
    assert_eq!(obsolete_jobs(&done, &seen, &of.names).count(), 1);
    seen.jobs[last] = job_for(&of, &seen, ServiceName::Orders, Some("Failed"));
    assert!(asked(&of, &seen).failure().is_some());
}

#[test]
fn jobs_of_other_versions_go_when_the_present_one_is_in_place() {
    let (old, new) = (validated("1.0.0"), validated("2.0.0"));
    let mut seen = with_databases();
    seen.jobs = all_migrated(&old);
    assert_eq!(obsolete_jobs(&asked(&new, &seen), &seen, &new.names).count(), 0);
    seen.jobs.extend(all_migrated(&new));
    let plan = asked(&new, &seen);
    let obsolete: Vec<String> = obsolete_jobs(&plan, &seen, &new.names).map(ResourceExt::name_any).collect();
    assert_eq!(obsolete.len(), 4);
    assert!(all_migrated(&old).iter().all(|job| obsolete.contains(&job.name_any())));
}

#[test]
fn a_database_that_is_too_new_for_the_version_is_told_from_a_migration_that_fails() {
    let of = validated("1.0.0");
    let mut seen = with_databases();
    seen.jobs = vec![job(&of, ServiceName::Orders, Some("Failed"))];
    assert_eq!(asked(&of, &seen).failure().unwrap().0, Reason::MigrationFailed);
    let pod = json!({
        "metadata": {"name": "p", "labels": {"batch.kubernetes.io/job-name": seen.jobs[0].name_any()}},
        "status": {"containerStatuses": [{
            "name": "migrate", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": EXIT_SCHEMA_TOO_NEW, "message": "0007 is unknown"}},
        }]},
    });
    seen.job_pods = vec![Arc::new(serde_json::from_value(pod).unwrap())];
    let plan = asked(&of, &seen);
    let (reason, message) = plan.failure().unwrap();
    assert_eq!(reason, Reason::DowngradeRefused);
    assert!(message.contains("0007 is unknown"), "{message}");
}

fn asleep(replicas: i32) -> Arc<StoreService> {
    let mut live = (*service("1.0.0", "1.0.0")).clone();
    live.spec.replicas = Some(0);
    live.status.as_mut().unwrap().replicas = replicas;
    Arc::new(live)
}

#[test]
fn data_sleeps_only_when_no_service_has_a_pod_left_and_no_image_changes_meanwhile() {
    let mut of = validated("2.0.0");
    of.suspend = true;
    let mut seen = with_databases();
    seen.services = everywhere("1.0.0");
    let going = asked(&of, &seen);
    assert_eq!((going.at_rest.len(), going.data_sleeps), (6, false));
    assert!(tags(&going).iter().all(|(_, tag)| *tag == "1.0.0"));
    seen.services.values_mut().for_each(|live| *live = asleep(0));
    assert!(asked(&of, &seen).data_sleeps);
    seen.services.insert(ServiceName::Orders, asleep(1));
    assert!(!asked(&of, &seen).data_sleeps);
}

#[test]
fn services_that_slept_wait_for_their_data_and_those_that_run_do_not() {
    let of = validated("1.0.0");
    let mut seen = with_databases();
    seen.services = everywhere("1.0.0");
    seen.services.insert(ServiceName::Orders, asleep(0));
    let plan = asked(&of, &seen);
    assert_eq!(plan.at_rest, BTreeSet::from([ServiceName::Orders]));
    assert!(!plan.data_sleeps);
}
