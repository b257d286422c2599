//! Whether a part of a store is ready, and what keeps it. Pure.

use api::{ConditionType, Reason, ServiceName, Status};
use k8s_openapi::{
    api::apps::v1::StatefulSet,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};

use super::{
    apply::{Part, Wrote},
    dereference::{Seen, Server},
    external,
    migration::Migration,
    names::TOPICS,
    plan::Plan,
    validate::{Cache, Kafka, Validated},
};
use crate::{framework::trouble_of, refused::Podless, workload::image_tag};

/// What is known of a part: `Ok`, or why it is not ready.
pub(super) type Verdict = Result<(), (Reason, String)>;

/// The verdict on each part of a store.
pub(super) struct Parts {
    pub(super) database: Verdict,
    pub(super) events: Verdict,
    pub(super) cache: Verdict,
    pub(super) storage: Verdict,
    pub(super) services: Verdict,
}

impl Parts {
    pub(super) fn look(of: &Validated, seen: &Seen, plan: &Plan, wrote: &Wrote) -> Self {
        Self {
            database: database(of, seen, wrote.any_of(Part::Database)),
            events: events(of, seen, wrote),
            cache: cache(of, seen, wrote.any_of(Part::Cache)),
            storage: storage(of),
            services: services_verdict(of, seen, plan, wrote),
        }
    }

    /// The first part that is not ready. Migrations and services wait for data, so data comes first.
    pub(super) fn first_trouble(&self) -> Option<&(Reason, String)> {
        let parts = [&self.database, &self.events, &self.cache, &self.services, &self.storage];
        let mut troubles = parts.into_iter().filter_map(|part| part.as_ref().err());
        // What keeps pods from a volume is told before the pods, and what needs someone's hand before what passes.
        let cause = troubles.clone().find(|(reason, _)| *reason == Reason::StorageClassMissing);
        cause.or_else(|| troubles.clone().find(|(reason, _)| reason.is_failure())).or_else(|| troubles.next())
    }
}

/// Whether databases, events and cache work: services that have slept wake only then. A cache of somebody else's has not slept
/// with them.
pub(super) fn data_works(of: &Validated, seen: &Seen) -> bool {
    let cache = match &seen.external_cache {
        Some(external) => external.is_known(),
        None => cache(of, seen, false).is_ok(),
    };
    database(of, seen, false).is_ok() && events(of, seen, &Wrote::default()).is_ok() && cache
}

/// What the migrations wait for, or do.
pub(super) fn migrating(plan: &Plan) -> (Reason, String) {
    let of_state = |wanted: fn(&Migration) -> bool| {
        let names = plan.migrations.iter().filter(|(_, migration)| wanted(migration)).map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    if let Some((reason, message)) = plan.failure() {
        return (reason, message.to_owned());
    }
    let troubles = plan.migrations.values().find_map(|migration| match migration {
        Migration::Running(trouble) => trouble.clone(),
        Migration::Anew { trouble, again: false, .. } => Some(trouble.clone()),
        Migration::Anew { again: true, .. }
        | Migration::Waiting
        | Migration::Again
        | Migration::Done
        | Migration::Failed(..) => None,
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

fn events(of: &Validated, seen: &Seen, wrote: &Wrote) -> Verdict {
    match of.kafka {
        Kafka::Managed(_) => server(&of.names.kafka(), &seen.kafka, wrote.any_of(Part::Kafka))?,
        // Whether it can be reached is told by its topics.
        Kafka::External(_) => {}
    }
    topics(of, seen, wrote.any_of(Part::Topics))
}

fn cache(of: &Validated, seen: &Seen, wrote: bool) -> Verdict {
    match &of.cache {
        Cache::Managed(_) => server(&of.names.cache(), &seen.cache, wrote),
        Cache::External(secret) => external::verdict(secret, seen),
    }
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
    if !plan.migrated() {
        return Err(migrating(plan));
    }
    let order = ServiceName::ALL.into_iter().filter(|name| of.services.contains_key(name));
    let verdicts: Vec<Verdict> = order.map(|name| service(of, seen, plan, name, wrote)).collect();
    // A service that needs a hand is told before one that is still rolling.
    let failed = verdicts.iter().find(|verdict| verdict.as_ref().is_err_and(|(reason, _)| reason.is_failure()));
    failed.cloned().unwrap_or_else(|| verdicts.into_iter().collect())
}

fn service(of: &Validated, seen: &Seen, plan: &Plan, name: ServiceName, wrote: &Wrote) -> Verdict {
    let child = seen.services.get(&name).filter(|_| !wrote.any_of(Part::Services));
    let full = of.names.service(name);
    if plan.at_rest.contains(&name) {
        return Err((Reason::WaitingForData, format!("StoreService {full} starts when its data is awake")));
    }
    child_ready("StoreService", &full, child.map(|service| (&service.metadata, service.status.as_ref())))?;
    let target = plan.course.image_of(of, name);
    if child.is_some_and(|service| service.spec.image != target) {
        let version = image_tag(&target);
        return Err((Reason::Upgrading, format!("StoreService {full} waits for its turn to get version {version}")));
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
        None => match server.podless.as_ref().and_then(Podless::message) {
            Some(refused) => (Reason::PodsRefused, format!("StatefulSet {name}: {refused}")),
            None => (Reason::PodsStarting, format!("StatefulSet {name}: its pod is starting")),
        },
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
