//! Step 5: how far the store is, and what keeps it. Pure.

use api::{ConditionType, Endpoints, Reason, ServiceName, ServiceStatus, StoreStatus};
use jiff::Timestamp;

use super::{
    apply::Wrote,
    dereference::Seen,
    plan::Plan,
    sleep, upgrade,
    validate::{Service, Validated},
    verdict::{Parts, Verdict, migrating},
};
use crate::framework::Finding;

/// The status, and the conditions to put into it.
pub(super) fn derive(
    of: &Validated,
    seen: &Seen,
    plan: &Plan,
    before: Option<&StoreStatus>,
    wrote: &Wrote,
    now: Timestamp,
) -> (StoreStatus, Vec<Finding>) {
    let mut status = StoreStatus {
        version: before.and_then(|before| before.version.clone()),
        services: services(of, seen),
        endpoints: endpoints(of, seen),
        history: before.map(|before| before.history.clone()).unwrap_or_default(),
        ..StoreStatus::default()
    };
    if of.suspend {
        return (status, sleep::findings(of, seen, plan, before, wrote));
    }
    let parts = Parts::look(of, seen, plan, wrote);
    let rolled = parts.services.is_ok() && plan.migrated();
    if rolled {
        status.version = Some(plan.course.release.version.clone());
    }
    let outcome = upgrade::outcome(of, seen, plan, rolled);
    status.history = upgrade::history(of, &plan.course, before, outcome, now);
    // Pods that are replaced for another reason, or fall ill, run the version all the same.
    let upgraded = upgrade::has_succeeded(of, &status.history);
    (status, findings(of, plan, parts, upgraded))
}

fn findings(of: &Validated, plan: &Plan, parts: Parts, has_upgraded: bool) -> Vec<Finding> {
    let trouble = parts.first_trouble().cloned();
    let mut findings = headline(plan, trouble.as_ref());
    findings.push(degraded(plan, trouble.as_ref()));
    findings.push(Finding::no(ConditionType::Suspended, Reason::NotSuspended, "the store is not asked to sleep"));
    findings.push(upgraded(of, plan, has_upgraded));
    findings.extend([
        finding(ConditionType::DatabaseReady, parts.database, "the databases are ready"),
        finding(ConditionType::EventsReady, parts.events, "the broker and its topics are ready"),
        finding(ConditionType::CacheReady, parts.cache, "the cache is ready"),
        finding(ConditionType::StorageReady, parts.storage, "the volumes of broker and cache have their size"),
        finding(ConditionType::ServicesReady, parts.services, "every service is ready"),
    ]);
    findings
}

/// Whether the store is ready, and whether it is on the way there.
fn headline(plan: &Plan, trouble: Option<&(Reason, String)>) -> Vec<Finding> {
    let (ready, progressing) = (ConditionType::Ready, ConditionType::Progressing);
    let running = &plan.course.release.version;
    match (trouble, taken_back(plan)) {
        (None, None) => vec![
            Finding::yes(ready, Reason::AllReady, format!("version {running} runs and every part is ready")),
            Finding::no(progressing, Reason::Settled, "nothing is under way"),
        ],
        // What the spec asks for does not run, so the store is not as described, though every part works.
        (None, Some(message)) => vec![
            Finding::no(ready, Reason::UpgradeRolledBack, message.clone()),
            Finding::no(progressing, Reason::UpgradeRolledBack, message),
        ],
        (Some((reason, message)), _) if reason.is_failure() => {
            vec![Finding::no(ready, *reason, message.clone()), Finding::no(progressing, *reason, message.clone())]
        }
        (Some((_, message)), Some(_)) => {
            let message = format!("version {running} comes back: {message}");
            vec![
                Finding::no(ready, Reason::RollingBack, message.clone()),
                Finding::yes(progressing, Reason::RollingBack, message),
            ]
        }
        (Some((reason, message)), None) => {
            vec![Finding::no(ready, *reason, message.clone()), Finding::yes(progressing, *reason, message.clone())]
        }
    }
}

/// Whether someone should look, though shoppers may notice nothing.
fn degraded(plan: &Plan, trouble: Option<&(Reason, String)>) -> Finding {
    let condition = ConditionType::Degraded;
    match (trouble.filter(|(reason, _)| reason.is_failure()), taken_back(plan)) {
        (Some((reason, message)), _) => Finding::yes(condition, *reason, message.clone()),
        (None, Some(message)) => Finding::yes(condition, Reason::UpgradeRolledBack, message),
        (None, None) => Finding::no(condition, Reason::AllReady, "nothing needs a hand"),
    }
}

fn taken_back(plan: &Plan) -> Option<String> {
    let record = plan.course.taken_back.as_ref()?;
    Some(format!(
        "version {} was taken back and version {} runs, because {}: set a version that works, or change what kept this \
         one from starting, and it is tried again",
        record.to,
        plan.course.release.version,
        record.message.as_deref().unwrap_or("it could not be rolled out"),
    ))
}

fn finding(condition: ConditionType, verdict: Verdict, ready: &str) -> Finding {
    match verdict {
        Ok(()) => Finding::yes(condition, Reason::AllReady, ready),
        Err((reason, message)) => Finding::no(condition, reason, message),
    }
}

fn upgraded(of: &Validated, plan: &Plan, has_upgraded: bool) -> Finding {
    let condition = ConditionType::Upgraded;
    if let Some(message) = taken_back(plan) {
        return Finding::no(condition, Reason::UpgradeRolledBack, message);
    }
    if has_upgraded {
        return Finding::yes(condition, Reason::UpToDate, what_runs(of));
    }
    if let Some((reason, message)) = plan.failure() {
        return Finding::no(condition, reason, message);
    }
    if plan.migrated() {
        return Finding::no(condition, Reason::Upgrading, format!("version {} is being rolled out", of.version));
    }
    let (reason, message) = migrating(plan);
    Finding::no(condition, reason, message)
}

/// Services may have versions of their own.
fn what_runs(of: &Validated) -> String {
    let own =
        |(name, settings): (&ServiceName, &Service)| Some(format!("{} {}", name.as_str(), settings.version.as_ref()?));
    let own: Vec<String> = of.services.iter().filter_map(own).collect();
    match own.as_slice() {
        [] => format!("every service runs version {}", of.version),
        own => format!("every service runs version {}, or its own: {}", of.version, own.join(", ")),
    }
}

fn services(of: &Validated, seen: &Seen) -> Vec<ServiceStatus> {
    let running = ServiceName::ALL.into_iter().filter(|name| of.services.contains_key(name));
    let mut services: Vec<ServiceStatus> = running
        .map(|name| {
            let status = seen.services.get(&name).and_then(|service| service.status.as_ref());
            ServiceStatus {
                name: name.as_str().to_owned(),
                version: status.and_then(|status| status.version.clone()),
                ready: status.map_or(0, |status| status.ready_replicas),
                desired: status.map_or(0, |status| status.desired_replicas),
            }
        })
        .collect();
    services.sort_by(|one, other| one.name.cmp(&other.name));
    services
}

fn endpoints(of: &Validated, seen: &Seen) -> Option<Endpoints> {
    let gateway = seen.services.get(&ServiceName::Gateway).and_then(|service| service.status.as_ref());
    of.services.contains_key(&ServiceName::Gateway).then(|| Endpoints {
        api: format!("http://{}.{}.svc:8080", of.names.service(ServiceName::Gateway), of.namespace),
        external: gateway.and_then(|status| status.endpoint.clone()),
        node_port: of.exposure.node_port.as_ref().map(|exposure| exposure.port),
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use api::{Store, StoreDatabase, StoreService, StoreTopic};
    use serde_json::{Value, json};

    use super::*;
    use crate::store::{
        apply::Part, dereference::Server, external::CacheAddress, names::TOPICS, plan::plan, upgrade::course,
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
        let databases = ["auth", "catalog", "inventory", "orders"]
            .map(|name| json!({"name": name, "ready": true, "secretName": ""}));
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
        seen.services = ServiceName::ALL
            .into_iter()
            .map(|name| (name, service(name, version, ready("True", "AllReady", 2))))
            .collect();
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
        let not_ready: Vec<_> =
            findings.iter().filter(|finding| !finding.holds).map(|finding| finding.condition).collect();
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

    /// A store that runs 1.0.0 after 2.0.0 was taken back.
    fn look_back(seen: &Seen) -> (StoreStatus, Vec<Finding>) {
        let (good, bad) = (validate(&store("1.0.0"), seen).unwrap(), validate(&store("2.0.0"), seen).unwrap());
        let mut before = StoreStatus::default();
        for (of, outcome) in [
            (&good, upgrade::Outcome::Succeeded),
            (&bad, upgrade::Outcome::TakenBack(Reason::ProgressDeadlineExceeded, "green-cart: no progress".to_owned())),
        ] {
            before.history =
                upgrade::history(of, &course(of, Some(&before)), Some(&before), outcome, Timestamp::UNIX_EPOCH);
        }
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

    fn suspended(seen: &Seen) -> Vec<Finding> {
        let mut of = validate(&store("1.0.0"), seen).unwrap();
        of.suspend = true;
        let plan = plan(&of, seen, course(&of, None));
        derive(&of, seen, &plan, None, &Wrote::default(), Timestamp::UNIX_EPOCH).1
    }

    fn without_pods(seen: &mut Seen) {
        for live in seen.services.values_mut() {
            let mut service = (**live).clone();
            service.spec.replicas = Some(0);
            *live = Arc::new(service);
        }
        for server in [&mut seen.kafka, &mut seen.cache] {
            let mut set = (**server.stateful_set.as_ref().unwrap()).clone();
            set.spec.replicas = Some(0);
            set.status.as_mut().unwrap().replicas = 0;
            server.stateful_set = Some(Arc::new(set));
        }
        let database = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
            "metadata": {"name": "green", "generation": 2}, "spec": {},
            "status": {"conditions": ready("False", "Suspended", 2)},
        });
        seen.database = Some(Arc::new(serde_json::from_value(database).unwrap()));
    }

    #[test]
    fn a_store_sleeps_when_its_last_pod_has_gone_and_not_before() {
        let mut seen = complete("1.0.0");
        let going = suspended(&seen);
        let (holds, reason, message) = finding_of(&going, ConditionType::Suspended);
        assert_eq!((holds, reason), (false, Reason::Suspending));
        assert!(message.contains("the services") && message.contains("the broker"), "{message}");
        without_pods(&mut seen);
        let asleep = suspended(&seen);
        assert!(finding_of(&asleep, ConditionType::Suspended).0);
        assert!(!finding_of(&asleep, ConditionType::Ready).0);
        assert!(!finding_of(&asleep, ConditionType::Degraded).0);
    }

    #[test]
    fn a_store_on_servers_of_others_goes_to_sleep_and_wakes_without_waiting_for_them() {
        let mut external = store("1.0.0");
        let servers = json!({
            "kafka": {"external": {"bootstrapServers": "kafka.example:9092"}},
            "cache": {"external": {"urlSecretRef": {"name": "redis"}}},
        });
        external.spec.kafka = serde_json::from_value(servers["kafka"].clone()).unwrap();
        external.spec.cache = serde_json::from_value(servers["cache"].clone()).unwrap();
        let mut seen = complete("1.0.0");
        without_pods(&mut seen);
        (seen.kafka, seen.cache) = (Server::default(), Server::default());
        seen.cache_address = Some(CacheAddress::Known);
        external.spec.suspend = true;
        let of = validate(&external, &seen).unwrap();
        let asleep = plan(&of, &seen, course(&of, None));
        let (_, findings) = derive(&of, &seen, &asleep, None, &Wrote::default(), Timestamp::UNIX_EPOCH);
        assert!(finding_of(&findings, ConditionType::Suspended).0, "{findings:?}");

        external.spec.suspend = false;
        let of = validate(&external, &seen).unwrap();
        let at_rest = |seen: &Seen| plan(&of, seen, course(&of, None)).at_rest.len();
        seen.database = Some(database());
        assert_eq!(at_rest(&seen), 0);
        seen.cache_address = Some(CacheAddress::NoSecret);
        assert_eq!(at_rest(&seen), 6);
    }
}
