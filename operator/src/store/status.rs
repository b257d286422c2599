//! Step 5: how far the store is, and what keeps it. Pure.

use api::{ConditionType, Endpoints, Reason, ServiceName, ServiceStatus, Status, StoreStatus};
use k8s_openapi::{
    api::apps::v1::StatefulSet,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};

use super::{
    apply::{Part, Wrote},
    dereference::{Seen, Server},
    external,
    names::TOPICS,
    plan::{Migration, Plan},
    validate::{Cache, Kafka, Validated},
};
use crate::framework::{Finding, trouble_of};

/// What is known of a part: `Ok`, or why it is not ready.
pub(super) type Verdict = Result<(), (Reason, String)>;

/// The status, and the conditions to put into it.
pub(super) fn derive(
    of: &Validated,
    seen: &Seen,
    plan: &Plan,
    before: Option<&StoreStatus>,
    wrote: &Wrote,
) -> (StoreStatus, Vec<Finding>) {
    let parts = Parts::look(of, seen, plan, wrote);
    let rolled = parts.services.is_ok() && plan.migrated();
    let status = StoreStatus {
        version: if rolled { Some(of.version.clone()) } else { before.and_then(|before| before.version.clone()) },
        services: services(of, seen),
        endpoints: endpoints(of, seen),
        ..StoreStatus::default()
    };
    (status, findings(of, plan, parts, rolled))
}

struct Parts {
    database: Verdict,
    events: Verdict,
    cache: Verdict,
    storage: Verdict,
    services: Verdict,
}

impl Parts {
    fn look(of: &Validated, seen: &Seen, plan: &Plan, wrote: &Wrote) -> Self {
        let kafka = match of.kafka {
            Kafka::Managed(_) => server(&of.names.kafka(), &seen.kafka, wrote.any_of(Part::Kafka)),
            // Whether it can be reached is told by its topics.
            Kafka::External(_) => Ok(()),
        };
        Self {
            database: database(of, seen, wrote.any_of(Part::Database)),
            events: kafka.and_then(|()| topics(of, seen, wrote.any_of(Part::Topics))),
            cache: match &of.cache {
                Cache::Managed(_) => server(&of.names.cache(), &seen.cache, wrote.any_of(Part::Cache)),
                Cache::External(secret) => external::cache(secret, seen),
            },
            storage: storage(of),
            services: services_verdict(of, seen, plan, wrote),
        }
    }

    /// The first part that is not ready. Migrations and services wait for data, so data comes first.
    fn first_trouble(&self) -> Option<&(Reason, String)> {
        let parts = [&self.database, &self.events, &self.cache, &self.services, &self.storage];
        let mut troubles = parts.into_iter().filter_map(|part| part.as_ref().err());
        // What needs someone's hand is told before what passes.
        troubles.clone().find(|(reason, _)| reason.is_failure()).or_else(|| troubles.next())
    }
}

fn findings(of: &Validated, plan: &Plan, parts: Parts, rolled: bool) -> Vec<Finding> {
    let (ready, progressing) = (ConditionType::Ready, ConditionType::Progressing);
    let mut findings = match parts.first_trouble().cloned() {
        None => vec![
            Finding::yes(ready, Reason::AllReady, format!("version {} runs and every part is ready", of.version)),
            Finding::no(progressing, Reason::Settled, "nothing is under way"),
        ],
        Some((reason, message)) if reason.is_failure() => {
            vec![Finding::no(ready, reason, message.clone()), Finding::no(progressing, reason, message)]
        }
        Some((reason, message)) => {
            vec![Finding::no(ready, reason, message.clone()), Finding::yes(progressing, reason, message)]
        }
    };
    findings.push(upgraded(of, plan, rolled));
    findings.extend([
        finding(ConditionType::DatabaseReady, parts.database, "the databases are ready"),
        finding(ConditionType::EventsReady, parts.events, "the broker and its topics are ready"),
        finding(ConditionType::CacheReady, parts.cache, "the cache is ready"),
        finding(ConditionType::StorageReady, parts.storage, "the volumes of broker and cache have their size"),
        finding(ConditionType::ServicesReady, parts.services, "every service is ready"),
    ]);
    findings
}

fn finding(condition: ConditionType, verdict: Verdict, ready: &str) -> Finding {
    match verdict {
        Ok(()) => Finding::yes(condition, Reason::AllReady, ready),
        Err((reason, message)) => Finding::no(condition, reason, message),
    }
}

fn upgraded(of: &Validated, plan: &Plan, rolled: bool) -> Finding {
    let condition = ConditionType::Upgraded;
    if rolled {
        return Finding::yes(condition, Reason::UpToDate, format!("every service runs version {}", of.version));
    }
    if let Some(message) = plan.failure() {
        return Finding::no(condition, Reason::MigrationFailed, message);
    }
    if plan.migrated() {
        return Finding::no(condition, Reason::Upgrading, format!("version {} is being rolled out", of.version));
    }
    let (reason, message) = migrating(plan);
    Finding::no(condition, reason, message)
}

/// What the migrations wait for, or do.
fn migrating(plan: &Plan) -> (Reason, String) {
    let of_state = |wanted: fn(&Migration) -> bool| {
        let names = plan.migrations.iter().filter(|(_, migration)| wanted(migration)).map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    if let Some(message) = plan.failure() {
        return (Reason::MigrationFailed, message.to_owned());
    }
    let troubles = plan.migrations.values().find_map(|migration| match migration {
        Migration::Running(trouble) => trouble.clone(),
        Migration::Waiting | Migration::Done | Migration::Failed(_) => None,
    });
    if let Some(trouble) = troubles {
        return (trouble.reason, format!("a migration does not start: {}", trouble.message));
    }
    let running = of_state(|migration| matches!(migration, Migration::Running(_)));
    if running.is_empty() {
        let waiting = of_state(|migration| *migration == Migration::Waiting);
        return (Reason::WaitingForData, format!("migrations wait for the databases of: {waiting}"));
    }
    (Reason::Migrating, format!("migrations run: {running}"))
}

fn database(of: &Validated, seen: &Seen, wrote: bool) -> Verdict {
    let child = seen.database.as_deref().filter(|_| !wrote);
    let status = child.map(|database| (&database.metadata, database.status.as_ref()));
    child_ready("StoreDatabase", of.names.store(), status)
}

fn topics(of: &Validated, seen: &Seen, wrote: bool) -> Verdict {
    for topic in TOPICS {
        let name = of.names.topic(topic);
        let child = seen.topics.iter().find(|seen| seen.metadata.name.as_ref() == Some(&name)).filter(|_| !wrote);
        child_ready("StoreTopic", &name, child.map(|topic| (&topic.metadata, topic.status.as_ref())))?;
    }
    Ok(())
}

fn services_verdict(of: &Validated, seen: &Seen, plan: &Plan, wrote: &Wrote) -> Verdict {
    if !plan.migrated() || wrote.any_of(Part::Migrations) {
        return Err(migrating(plan));
    }
    let order = ServiceName::ALL.into_iter().filter(|name| of.services.contains_key(name));
    let verdicts: Vec<Verdict> = order.map(|name| service(of, seen, name, wrote.any_of(Part::Services))).collect();
    // A service that needs a hand is told before one that is still rolling.
    let failed = verdicts.iter().find(|verdict| verdict.as_ref().is_err_and(|(reason, _)| reason.is_failure()));
    failed.cloned().unwrap_or_else(|| verdicts.into_iter().collect())
}

fn service(of: &Validated, seen: &Seen, name: ServiceName, wrote: bool) -> Verdict {
    let child = seen.services.get(&name).filter(|_| !wrote);
    let full = of.names.service(name);
    child_ready("StoreService", &full, child.map(|service| (&service.metadata, service.status.as_ref())))?;
    if child.is_some_and(|service| service.spec.image != of.image_of(name)) {
        return Err((
            Reason::Upgrading,
            format!("StoreService {full} waits for its turn to get version {}", of.version),
        ));
    }
    Ok(())
}

/// A child is ready when it says so of its present generation.
fn child_ready<S: Status>(kind: &str, name: &str, child: Option<(&ObjectMeta, Option<&S>)>) -> Verdict {
    let Some((meta, status)) = child else {
        return Err((Reason::ChildPending, format!("{kind} {name} is being written")));
    };
    let ready = status.and_then(|status| status.condition(ConditionType::Ready.as_str()));
    match ready {
        Some(ready) if ready.observed_generation == meta.generation => from_condition(kind, name, ready),
        _ => Err((Reason::ChildPending, format!("{kind} {name} has not been looked at since it changed"))),
    }
}

fn from_condition(kind: &str, name: &str, ready: &Condition) -> Verdict {
    if ready.status == "True" {
        return Ok(());
    }
    let reason = Reason::parse(&ready.reason).unwrap_or(Reason::ChildNotReady);
    Err((reason, format!("{kind} {name}: {}", ready.message)))
}

/// A StatefulSet of one is ready when its pod is, and is of the present revision.
fn server(name: &str, server: &Server, wrote: bool) -> Verdict {
    let Some(set) = server.stateful_set.as_deref().filter(|_| !wrote) else {
        return Err((Reason::ChildPending, format!("StatefulSet {name} is being written")));
    };
    if is_ready(set) {
        return Ok(());
    }
    Err(match trouble_of(server.pods.iter().map(|pod| &**pod)) {
        Some(trouble) => (trouble.reason, format!("StatefulSet {name}: {}", trouble.message)),
        None => (Reason::PodsStarting, format!("StatefulSet {name}: its pod is starting")),
    })
}

fn is_ready(set: &StatefulSet) -> bool {
    set.status.as_ref().is_some_and(|status| {
        status.observed_generation == set.metadata.generation
            && status.ready_replicas >= Some(1)
            && status.current_revision == status.update_revision
    })
}

/// A volume that waits for its first pod is told by the pod; here counts only what a change of size leads to.
fn storage(of: &Validated) -> Verdict {
    for (claim, server) in of.servers() {
        let (_, holds, reason, message) = server.claim.state.condition(&claim);
        if !holds {
            return Err((reason, message));
        }
    }
    Ok(())
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
    use crate::store::{plan::plan, validate::validate};

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
        let plan = plan(&validated, &seen);
        seen.jobs = plan
            .migrations
            .keys()
            .map(|service| {
                Arc::new(
                    serde_json::from_value(json!({
                        "metadata": {"name": validated.names.migration(*service, &plan.job_hash), "labels": {
                            "app.kubernetes.io/name": service.as_str(), "greencommerce.dev/image": plan.image_hash,
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
        let plan = plan(&validated, seen);
        let before = StoreStatus { version: Some("0.9.0".to_owned()), ..StoreStatus::default() };
        derive(&validated, seen, &plan, Some(&before), wrote)
    }

    fn finding_of(findings: &[Finding], condition: ConditionType) -> (bool, Reason, &str) {
        let finding = findings.iter().find(|finding| finding.condition == condition).unwrap();
        (finding.holds, finding.reason, finding.message.as_str())
    }

    #[test]
    fn a_store_whose_every_part_is_ready_is_ready() {
        let (status, findings) = look(&complete("1.0.0"), &Wrote::default());
        let not_ready: Vec<_> =
            findings.iter().filter(|finding| !finding.holds).map(|finding| finding.condition).collect();
        assert_eq!(not_ready, [ConditionType::Progressing]);
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
}
