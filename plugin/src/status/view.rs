//! What `status` shows, as one document. Pure.

use api::{Endpoints, Reason, Status, StoreDatabase, StoreService, UpgradeRecord};
use jiff::Timestamp;
use k8s_openapi::{
    api::apps::v1::StatefulSet,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};
use kube::ResourceExt as _;
use serde::Serialize;

use super::{
    events::{Warning, warnings},
    gather::Gathered,
};

/// How a store is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Whether the store is asked to sleep.
    pub(crate) suspend: bool,
    /// The version that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// The version that the spec asks for.
    pub(crate) wanted_version: String,
    /// `True`, `False`, or `Unknown` where the operator has not looked at the present generation.
    pub(crate) ready: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoints: Option<Endpoints>,
    pub(crate) conditions: Vec<Condition>,
    /// The replacement of passwords that is under way, or that cannot begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rotation: Option<Cause>,
    pub(crate) parts: Vec<Part>,
    /// Upgrades, the newest first.
    pub(crate) history: Vec<UpgradeRecord>,
    /// Why the store is not ready: what its conditions say, each cause once.
    pub(crate) causes: Vec<Cause>,
    /// Warning events of the last hour, where the store is not ready.
    pub(crate) warnings: Vec<Warning>,
    /// What could not be read.
    pub(crate) unreadable: Vec<String>,
}

/// A part of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) ready: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pods: Option<Pods>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
}

/// Pods of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pods {
    pub(crate) ready: i32,
    pub(crate) desired: i32,
}

/// Why a condition is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Cause {
    /// The condition that says so, the first of several.
    pub(crate) condition: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Whether `type_` is true, false or unknown, of an object's present generation.
pub(crate) struct Verdict<'a> {
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: String,
}

/// What an object says of itself. A condition counts only if it speaks of the present generation.
pub(crate) fn verdict<'a, S: Status>(meta: &ObjectMeta, status: Option<&'a S>, type_: &str) -> Verdict<'a> {
    let unknown = |message| Verdict { status: "Unknown", reason: Reason::Reconciling.as_str(), message };
    let Some(condition) = status.and_then(|status| status.condition(type_)) else {
        return unknown("the operator has not reported yet: is it running?".to_owned());
    };
    let observed = [status.and_then(Status::observed_generation), condition.observed_generation];
    if observed != [meta.generation; 2] {
        let generation = meta.generation.unwrap_or_default();
        return unknown(format!("the operator has not taken up generation {generation} of the spec yet"));
    }
    Verdict { status: &condition.status, reason: &condition.reason, message: condition.message.clone() }
}

/// Puts together what is known at `now`.
pub(crate) fn view(of: &Gathered, now: Timestamp) -> View {
    let store = &of.store;
    let status = store.status.clone().unwrap_or_default();
    let ready = verdict(&store.metadata, store.status.as_ref(), "Ready");
    let services: Vec<String> = of.services.iter().map(kube::ResourceExt::name_any).collect();
    let troubled = ready.status != "True";
    View {
        namespace: store.namespace().unwrap_or_default(),
        name: store.name_any(),
        suspend: store.spec.suspend,
        wanted_version: store.spec.version.clone(),
        ready: ready.status.to_owned(),
        reason: ready.reason.to_owned(),
        message: ready.message,
        generation: store.metadata.generation.unwrap_or_default(),
        observed_generation: status.observed_generation,
        rotation: of.databases.iter().find_map(rotation),
        parts: parts(of),
        causes: if troubled { causes(&status.conditions) } else { Vec::new() },
        warnings: if troubled { warnings(&of.events, &store.name_any(), &services, now) } else { Vec::new() },
        unreadable: of.unreadable.clone(),
        version: status.version,
        endpoints: status.endpoints,
        conditions: status.conditions,
        history: status.history,
    }
}

/// Conditions that say something is wrong or under way, those that need a hand first; a cause that several repeat counts once.
fn causes(conditions: &[Condition]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    for condition in conditions.iter().filter(|condition| is_trouble(condition)) {
        if causes.iter().all(|cause| cause.message != condition.message) {
            causes.push(Cause {
                condition: condition.type_.clone(),
                reason: condition.reason.clone(),
                message: condition.message.clone(),
            });
        }
    }
    causes.sort_by_key(|cause| !Reason::parse(&cause.reason).is_some_and(Reason::is_failure));
    causes
}

fn is_trouble(condition: &Condition) -> bool {
    match condition.type_.as_str() {
        "Degraded" => condition.status == "True",
        // They say what the others do, or what was asked for.
        "Progressing" | "Suspended" => false,
        _ => condition.status != "True",
    }
}

/// The replacement of passwords that is under way, or that cannot begin. Nothing else tells of it: the store is ready all
/// the while.
pub(crate) fn rotation(database: &StoreDatabase) -> Option<Cause> {
    let rotating = verdict(&database.metadata, database.status.as_ref(), "Rotating");
    let blocked = rotating.status == "False" && Reason::parse(rotating.reason).is_some_and(Reason::is_failure);
    (blocked || rotating.status == "True").then(|| Cause {
        condition: "Rotating".to_owned(),
        reason: rotating.reason.to_owned(),
        message: rotating.message,
    })
}

fn parts(of: &Gathered) -> Vec<Part> {
    let mut parts: Vec<Part> = of.databases.iter().map(|database| self::database(database, &of.servers)).collect();
    parts.extend(of.servers.iter().filter_map(server));
    for topic in &of.topics {
        let verdict = verdict(&topic.metadata, topic.status.as_ref(), "Ready");
        parts.push(part("StoreTopic", topic.name_any(), &verdict));
    }
    parts.extend(of.services.iter().map(service));
    parts
}

fn part(kind: &'static str, name: String, verdict: &Verdict<'_>) -> Part {
    Part {
        kind,
        name,
        ready: verdict.status.to_owned(),
        pods: None,
        version: None,
        reason: if verdict.status == "True" { String::new() } else { verdict.reason.to_owned() },
    }
}

fn database(database: &StoreDatabase, servers: &[StatefulSet]) -> Part {
    let name = database.name_any();
    let server = servers.iter().find(|server| component(server) == "database");
    let verdict = verdict(&database.metadata, database.status.as_ref(), "Ready");
    let version = database.spec.managed.as_ref().map(|managed| managed.version.clone());
    Part { pods: server.map(pods), version, ..part("StoreDatabase", name, &verdict) }
}

/// Broker and cache, each a StatefulSet; the database's is told with the StoreDatabase.
fn server(set: &StatefulSet) -> Option<Part> {
    let kind = match component(set) {
        "broker" => "Broker",
        "cache" => "Cache",
        _ => return None,
    };
    let status = set.status.as_ref();
    let pods = pods(set);
    let current = status.and_then(|status| status.observed_generation) == set.metadata.generation;
    let ready = current && pods.ready >= pods.desired;
    let image = set.spec.template.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone());
    Some(Part {
        kind,
        name: set.name_any(),
        ready: if ready { "True" } else { "False" }.to_owned(),
        pods: Some(pods),
        version: image.as_deref().and_then(tag).map(str::to_owned),
        reason: String::new(),
    })
}

fn component(set: &StatefulSet) -> &str {
    set.labels().get(api::label::COMPONENT).map_or("", String::as_str)
}

fn pods(set: &StatefulSet) -> Pods {
    let ready = set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    Pods { ready, desired: set.spec.replicas.unwrap_or(1) }
}

fn service(service: &StoreService) -> Part {
    let verdict = verdict(&service.metadata, service.status.as_ref(), "Ready");
    let status = service.status.as_ref();
    Part {
        pods: status.map(|status| Pods { ready: status.ready_replicas, desired: status.desired_replicas }),
        version: status.and_then(|status| status.version.clone()),
        ..part("StoreService", service.name_any(), &verdict)
    }
}

/// The tag of an image reference; the colon of a registry's port begins none.
fn tag(image: &str) -> Option<&str> {
    let (_, tag) = image.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}
