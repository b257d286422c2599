use api::Store;
use serde_json::{Value, json};

use super::*;
use crate::{
    refused::Podless,
    store::{
        plan::{Plan, given_up, look_again, plan},
        upgrade::course,
        validate::validate,
    },
};

fn validated(more: &Value) -> Validated {
    let mut spec = json!({"version": "2.0.0"});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let store: Store = serde_json::from_value(json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
        "metadata": {"name": "green", "namespace": "shop"}, "spec": spec,
    }))
    .unwrap();
    validate(&store, &Seen::default()).unwrap()
}

fn asked(of: &Validated, seen: &Seen) -> Plan {
    plan(of, seen, course(of, None))
}

fn of_orders(of: &Validated, seen: &Seen) -> Migration {
    asked(of, seen).migrations[&ServiceName::Orders].clone()
}

fn at(time: &str) -> Timestamp {
    format!("2026-01-01T{time}Z").parse().unwrap()
}

/// A Job of orders, made at midnight.
fn job(of: &Validated, status: &Value, annotations: &Value) -> Arc<Job> {
    let plan = asked(of, &Seen::default());
    let hashes = &plan.hashes[&ServiceName::Orders];
    let job = json!({
        "metadata": {
            "name": of.names.migration(ServiceName::Orders, &hashes.job), "uid": "7", "annotations": annotations,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app.kubernetes.io/name": "orders", "greencommerce.dev/image": hashes.label},
        },
        "status": status,
    });
    Arc::new(serde_json::from_value(job).unwrap())
}

fn failed(reason: &str) -> Value {
    json!({"conditions": [{"type": "Failed", "status": "True", "reason": reason, "message": "too long"}]})
}

fn pod(job: &Job, uid: &str, state: &Value) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": "p", "labels": {
            "batch.kubernetes.io/job-name": job.name_any(), "batch.kubernetes.io/controller-uid": uid,
        }},
        "status": {"containerStatuses": [{
            "name": "migrate", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        }]},
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn with(job: Arc<Job>, pods: Vec<Arc<Pod>>, now: &str) -> Seen {
    Seen { jobs: vec![job], job_pods: pods, at: at(now), ..Seen::default() }
}

#[test]
fn a_job_whose_time_was_over_before_a_container_ran_gives_way_to_another() {
    let of = validated(&json!({}));
    let late = job(&of, &failed("DeadlineExceeded"), &json!({}));
    let seen = with(late, vec![], "00:05:00");
    let plan = asked(&of, &seen);
    let Migration::Anew { at: due, trouble, .. } = &plan.migrations[&ServiceName::Orders] else { panic!("{plan:?}") };
    assert_eq!(*due, at("00:05:00"));
    assert!(trouble.message.contains("too long"), "{}", trouble.message);
    assert_eq!(plan.failure(), None);
    assert_eq!(given_up(&plan, &seen).count(), 1);
}

#[test]
fn jobs_that_come_to_nothing_are_made_half_a_minute_apart_at_least() {
    let of = validated(&json!({"upgrade": {"migrationTimeout": "10s"}}));
    let refused = job(&of, &failed("DeadlineExceeded"), &json!({}));
    let early = with(refused.clone(), vec![], "00:00:10");
    let plan = asked(&of, &early);
    assert_eq!(given_up(&plan, &early).count(), 0);
    assert_eq!(look_again(&plan, &early), Some(std::time::Duration::from_secs(20)));
    let later = with(refused, vec![], "00:00:30");
    assert_eq!(given_up(&asked(&of, &later), &later).count(), 1);
}

#[test]
fn a_migration_whose_container_failed_is_final() {
    let of = validated(&json!({}));
    for reason in ["DeadlineExceeded", "BackoffLimitExceeded", "PodFailurePolicy"] {
        let job = job(&of, &failed(reason), &json!({}));
        let crashed = pod(&job, "7", &json!({"terminated": {"exitCode": 1}}));
        let seen = with(job.clone(), vec![crashed], "00:30:00");
        assert!(matches!(of_orders(&of, &seen), Migration::Failed(Reason::MigrationFailed, _)), "{reason}");
        assert_eq!(given_up(&asked(&of, &seen), &seen).count(), 0);
        // A pod of a Job that had the name before says nothing about this one.
        let former = pod(&job, "6", &json!({"terminated": {"exitCode": 1}}));
        let is_final = matches!(of_orders(&of, &with(job, vec![former], "00:30:00")), Migration::Failed(..));
        assert_eq!(is_final, reason != "DeadlineExceeded", "{reason}");
    }
}

#[test]
fn a_migration_that_was_given_half_of_its_time_is_final_and_one_that_started_late_is_not() {
    let of = validated(&json!({}));
    let started = |at: &str| job(&of, &failed("DeadlineExceeded"), &json!({ANNOTATION_STARTED: at}));
    let soon = with(started("2026-01-01T00:00:20Z"), vec![], "00:05:00");
    assert!(matches!(of_orders(&of, &soon), Migration::Failed(..)));
    let late = with(started("2026-01-01T00:04:50Z"), vec![], "00:05:00");
    assert!(matches!(of_orders(&of, &late), Migration::Anew { .. }));
}

#[test]
fn pods_that_no_node_took_are_no_failed_migration() {
    let of = validated(&json!({"upgrade": {"migrationTimeout": "24h"}}));
    let job = job(&of, &failed("BackoffLimitExceeded"), &json!({}));
    let waiting = pod(&job, "7", &json!({"waiting": {"reason": "ErrImagePull", "message": "no such host"}}));
    let state = of_orders(&of, &with(job, vec![waiting], "00:02:00"));
    let Migration::Anew { at: due, trouble, .. } = state else { panic!("{state:?}") };
    assert_eq!((trouble.reason, due), (Reason::ImagePullFailed, at("00:05:00")));
}

#[test]
fn the_start_of_a_container_is_noted_once_when_it_has_run_for_a_while() {
    let of = validated(&json!({}));
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:10Z"}});
    let noted = |annotations: &Value, now: &str| {
        let job = job(&of, &json!({"active": 1}), annotations);
        let pods = vec![pod(&job, "7", &running)];
        let seen = with(job, pods, now);
        let since: Vec<Timestamp> = to_be_noted(&seen).map(|(_, since)| since).collect();
        (since, look_again(&asked(&of, &seen), &seen).is_some())
    };
    assert_eq!(noted(&json!({}), "00:00:12"), (vec![], true));
    assert_eq!(noted(&json!({}), "00:00:15"), (vec![at("00:00:10")], true));
    assert_eq!(noted(&json!({ANNOTATION_STARTED: "2026-01-01T00:00:10Z"}), "00:00:20"), (vec![], false));
}

#[test]
fn a_migration_runs_where_its_service_may_and_its_job_follows_until_it_has_started() {
    let pods = json!({"tolerations": [{"key": "dedicated", "operator": "Exists"}], "priorityClassName": "high"});
    let (anywhere, tainted) =
        (validated(&json!({})), validated(&json!({"services": [{"name": "orders", "pod": pods}]})));
    let hash = Place::of(tainted.services[&ServiceName::Orders].pod.as_ref()).hash();
    assert!(hash.is_some());
    let annotated = |place: &Value| job(&tainted, &json!({"active": 1}), place);
    let (here, elsewhere) = (json!({ANNOTATION_PLACE: hash}), json!({}));
    assert_eq!(of_orders(&tainted, &with(annotated(&here), vec![], "00:00:10")), Migration::Running(None));
    // The name stays, so that what ran before does not run again.
    let names = [&anywhere, &tainted].map(|of| job(of, &json!({}), &json!({})).name_any());
    assert_eq!(names[0], names[1]);
    let seen = with(annotated(&elsewhere), vec![], "00:00:10");
    assert_eq!(given_up(&asked(&tainted, &seen), &seen).count(), 1);
    let job = annotated(&elsewhere);
    let runs = pod(&job, "7", &json!({"running": {"startedAt": "2026-01-01T00:00:10Z"}}));
    assert_eq!(of_orders(&tainted, &with(job, vec![runs], "00:00:11")), Migration::Running(None));
}

#[test]
fn a_migration_whose_pod_is_refused_says_so() {
    let of = validated(&json!({}));
    let job = job(&of, &json!({}), &json!({}));
    let podless = Podless { refused: Some("exceeded quota".to_owned()), ..Podless::default() };
    let mut seen = with(job.clone(), vec![], "00:00:10");
    seen.podless_jobs = [(job.name_any(), podless)].into();
    let Migration::Running(Some(trouble)) = of_orders(&of, &seen) else { panic!() };
    assert_eq!(trouble.reason, Reason::PodsRefused);
    assert!(trouble.message.contains("exceeded quota"), "{}", trouble.message);
}

fn database(generation: i64, conditions: &[(&str, &str, &str)]) -> Seen {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(type_, status, reason)| {
            json!({
                "type": type_, "status": status, "reason": reason, "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    let database = json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
        "metadata": {"name": "green", "generation": generation}, "spec": {},
        "status": {"databases": [{"name": "orders", "ready": true, "secretName": ""}], "conditions": conditions},
    });
    Seen { database: Some(Arc::new(serde_json::from_value(database).unwrap())), ..Seen::default() }
}

#[test]
fn no_migration_starts_while_the_database_server_is_away_and_replacing_passwords_holds_none_up() {
    let of = validated(&json!({}));
    let state = |generation, conditions: &[_]| of_orders(&of, &database(generation, conditions));
    let ready = ("Ready", "True", "AllReady");
    assert_eq!(state(1, &[ready]), Migration::Running(None));
    assert_eq!(state(2, &[ready]), Migration::Waiting);
    let rotating = ("Rotating", "True", "RotatingPasswords");
    assert_eq!(state(1, &[ready, rotating]), Migration::Running(None));
    let serves = ("ServerReady", "True", "AllReady");
    assert_eq!(state(1, &[("Ready", "False", "DatabaseUnreachable"), serves]), Migration::Waiting);
    // The volume that cannot grow holds the databases all the same.
    let full = ("Ready", "False", "VolumeExpansionUnsupported");
    assert_eq!(state(1, &[full, serves]), Migration::Running(None));
    assert_eq!(state(1, &[full, ("ServerReady", "False", "PodsStarting")]), Migration::Waiting);
    // So does one that is larger than the spec now asks for, or in another class.
    let larger = ("Ready", "False", "SpecInvalid");
    assert_eq!(state(1, &[larger, serves]), Migration::Running(None));
    assert_eq!(state(2, &[larger, serves]), Migration::Waiting);
}

#[test]
fn a_job_that_did_not_have_its_chance_to_run_once_more_gives_way_to_another_and_holds_nothing_up() {
    let of = validated(&json!({}));
    let done = job(&of, &json!({"conditions": [{"type": "Complete", "status": "True"}]}), &json!({}));
    let mut seen = database(1, &[("Ready", "True", "AllReady")]);
    Arc::make_mut(seen.database.as_mut().unwrap()).status.as_mut().unwrap().databases[0].identity =
        Some("7/16384".to_owned());
    seen.at = at("00:05:00");
    let hashes = asked(&of, &seen).hashes[&ServiceName::Orders].clone();
    let mut late = Job::clone(&job(&of, &failed("DeadlineExceeded"), &json!({})));
    late.metadata.name = Some(of.names.migration(ServiceName::Orders, &hashes.job));
    late.metadata.labels.as_mut().unwrap().insert(label::IMAGE.to_owned(), hashes.label);
    seen.jobs = vec![done, Arc::new(late)];
    let plan = asked(&of, &seen);
    let state = &plan.migrations[&ServiceName::Orders];
    assert!(matches!(state, Migration::Anew { again: true, .. }) && state.holds_nothing_up(), "{state:?}");
    assert_eq!(given_up(&plan, &seen).map(ResourceExt::name_any).collect::<Vec<_>>(), [seen.jobs[1].name_any()]);
    seen.jobs.remove(0);
    assert!(!of_orders(&of, &seen).holds_nothing_up());
}

#[test]
fn a_migration_that_is_done_does_not_run_again_because_the_server_is_verified_now() {
    let of = |tls: &Value| {
        let external = json!({"host": "db.example", "adminSecretRef": {"name": "admin"}, "tls": tls});
        validated(&json!({"database": {"external": external}}))
    };
    let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    let done = with(job(&of(&Value::Null), &complete, &json!({})), vec![], "00:05:00");
    let verified = of(&json!({"caSecretRef": {"name": "authorities"}}));
    assert_eq!(of_orders(&verified, &done), Migration::Done);
    let label = |of: &Validated| asked(of, &Seen::default()).hashes[&ServiceName::Orders].label.clone();
    assert_eq!(label(&verified), label(&of(&Value::Null)));
}
