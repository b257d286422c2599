//! Step 5: how far the store is, and what keeps it. Pure.

use api::{ConditionType, Endpoints, Reason, ServiceName, ServiceStatus, Status, StoreStatus};
use k8s_openapi::{
    api::apps::v1::StatefulSet,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};

use super::{
    apply::Wrote,
    dereference::{Seen, Server},
    names::TOPICS,
    plan::{Migration, Plan},
    validate::Validated,
};
use crate::framework::{Finding, trouble_of};

/// What is known of a part: `Ok`, or why it is not ready.
type Verdict = Result<(), (Reason, String)>;

/// The status, and the conditions to put into it.
pub(super) fn derive(
    of: &Validated,
    seen: &Seen,
    plan: &Plan,
    before: Option<&StoreStatus>,
    wrote: Wrote,
) -> (StoreStatus, Vec<Finding>) {
    let parts = Parts::look(of, seen, plan, wrote);
    let rolled = parts.services.is_ok() && plan.migrated();
    let status = StoreStatus {
        version: if rolled { Some(of.version.clone()) } else { before.and_then(|before| before.version.clone()) },
        services: services(of, seen),
        endpoints: endpoints(of),
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
    fn look(of: &Validated, seen: &Seen, plan: &Plan, wrote: Wrote) -> Self {
        let kafka = server(&of.names.kafka(), &seen.kafka, wrote.kafka);
        Self {
            database: database(of, seen, wrote.database),
            events: kafka.and_then(|()| topics(of, seen, wrote.topics)),
            cache: server(&of.names.cache(), &seen.cache, wrote.cache),
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

fn services_verdict(of: &Validated, seen: &Seen, plan: &Plan, wrote: Wrote) -> Verdict {
    if !plan.migrated() || wrote.migrations {
        return Err(migrating(plan));
    }
    let order = ServiceName::ALL.into_iter().filter(|name| of.services.contains_key(name));
    let verdicts: Vec<Verdict> = order.map(|name| service(of, seen, name, wrote.services)).collect();
    // A service that needs a hand is told before one that is still rolling.
    let failed = verdicts.iter().find(|verdict| verdict.as_ref().is_err_and(|(reason, _)| reason.is_failure()));
    failed.cloned().unwrap_or_else(|| verdicts.into_iter().collect())
}

fn service(of: &Validated, seen: &Seen, name: ServiceName, wrote: bool) -> Verdict {
    let child = seen.services.get(&name).filter(|_| !wrote);
    let full = of.names.service(name);
    child_ready("StoreService", &full, child.map(|service| (&service.metadata, service.status.as_ref())))?;
    if child.is_some_and(|service| service.spec.image != of.image.reference) {
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
    for (claim, server) in [(of.names.kafka(), &of.kafka), (of.names.cache(), &of.cache)] {
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

fn endpoints(of: &Validated) -> Option<Endpoints> {
    of.services.contains_key(&ServiceName::Gateway).then(|| Endpoints {
        api: format!("http://{}.{}.svc:8080", of.names.service(ServiceName::Gateway), of.namespace),
        node_port: of.exposure.node_port.as_ref().map(|exposure| exposure.port),
    })
}
