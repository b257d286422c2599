//! Reads what goes into a report. What cannot be read is noted.

use std::collections::BTreeSet;

use api::{Store, label};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, Client, ResourceExt as _, api::LogParams};
use serde_json::{Value, json};

use super::kinds::{DEPLOYMENTS, EVENTS, Kind, NODES, OF_A_STORE, PODS, SECRETS};
use crate::{
    cluster::Cluster,
    error::cause,
    status::{Belongs, Gathered, gather},
};

/// Lines of the end of each log.
const LINES: i64 = 2000;
/// Logs that are read at the same time.
const AT_ONCE: usize = 8;
/// The operator's pods and Deployment, in the chart.
const OPERATOR: &str = "app.kubernetes.io/name=greencommerce-operator";

/// Everything that was read, secrets included.
pub(super) struct Collected {
    pub(super) gathered: Gathered,
    /// Objects, each with the place it has in the report.
    pub(super) objects: Vec<(String, Value)>,
    pub(super) events: Vec<Value>,
    /// Every Secret of the namespace: what they hold must not show up anywhere. `None` if they could not be read, so that
    /// nobody knows what to look for.
    pub(super) secrets: Option<Vec<Secret>>,
    pub(super) nodes: Vec<Value>,
    pub(super) versions: Value,
    /// Logs, each with its place.
    pub(super) logs: Vec<(String, String)>,
    pub(super) problems: Vec<String>,
}

impl Collected {
    /// What is missing, and why.
    pub(super) fn notes(&self) -> impl Iterator<Item = &String> {
        self.gathered.unreadable.iter().chain(&self.problems)
    }

    /// The store's Secrets and those that an object of it names: their keys, and how long each value is.
    pub(super) fn listed_secrets(&self) -> Vec<Value> {
        let mut named = BTreeSet::new();
        self.objects.iter().for_each(|(_, object)| strings(object, &mut named));
        let store = self.gathered.store.name_any();
        let listed = self.secrets.iter().flatten().filter(|secret| {
            secret.labels().get(label::STORE) == Some(&store) || named.contains(secret.name_any().as_str())
        });
        listed.map(outline).collect()
    }
}

fn outline(secret: &Secret) -> Value {
    let entries = secret.data.iter().flatten();
    let keys: Vec<Value> = entries.map(|(key, value)| json!({"key": key, "bytes": value.0.len()})).collect();
    json!({"name": secret.name_any(), "type": secret.type_, "labels": secret.labels(), "keys": keys})
}

fn strings<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => {
            found.insert(text);
        }
        Value::Array(list) => list.iter().for_each(|value| strings(value, found)),
        Value::Object(map) => map.values().for_each(|value| strings(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Reads.
pub(super) async fn collect(cluster: &Cluster, store: Store, operator_namespace: &str) -> Collected {
    let mut reader = Reader { client: cluster.client.clone(), problems: Vec::new() };
    let gathered = gather(cluster, store).await;
    let mut objects = reader.objects(&cluster.namespace, &gathered).await;
    let events = reader.events(&cluster.namespace, &gathered).await;
    let secrets = reader.secrets(&cluster.namespace).await;
    let nodes = reader.list(None, NODES, "").await.iter().map(node).collect();
    let mut logs = reader.logs(&cluster.namespace, "logs", &objects, PODS.plural).await;
    let operator = reader.operator(operator_namespace).await;
    logs.extend(reader.logs(operator_namespace, "operator/logs", &operator, "operator/pods").await);
    let versions = reader.versions(&operator).await;
    objects.extend(operator);
    Collected { gathered, objects, events, secrets, nodes, versions, logs, problems: reader.problems }
}

struct Reader {
    client: Client,
    problems: Vec<String>,
}

impl Reader {
    /// Objects of a kind, each with its kind in it, as lists have it only once.
    async fn list(&mut self, namespace: Option<&str>, kind: Kind, labels: &str) -> Vec<Value> {
        self.try_list(namespace, kind, labels).await.unwrap_or_default()
    }

    /// The same; `None` if they could not be read.
    async fn try_list(&mut self, namespace: Option<&str>, kind: Kind, labels: &str) -> Option<Vec<Value>> {
        let Kind { api, plural } = kind;
        let scope = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
        let path = format!("{api}{scope}/{plural}?labelSelector={labels}");
        match self.get(&path).await {
            Ok(mut list) => {
                let kind = list["kind"].as_str().unwrap_or_default().trim_end_matches("List").to_owned();
                let version = list["apiVersion"].clone();
                let mut items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
                for item in &mut items {
                    item["kind"] = json!(kind);
                    item["apiVersion"] = version.clone();
                }
                Some(items)
            }
            Err(error) => {
                let place = namespace.map(|namespace| format!(" of namespace {namespace}")).unwrap_or_default();
                self.problems.push(format!("{plural}{place}: {}", cause(&error)));
                None
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Value, kube::Error> {
        let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }

    async fn objects(&mut self, namespace: &str, of: &Gathered) -> Vec<(String, Value)> {
        let store = of.store.name_any();
        let mut found = Vec::new();
        for kind in OF_A_STORE {
            let all = self.list(Some(namespace), kind, "").await;
            let own = all.into_iter().filter(|object| is_of(object, &store));
            found.extend(own.map(|object| (format!("objects/{}/{}", kind.plural, name(&object)), object)));
        }
        found
    }

    async fn events(&mut self, namespace: &str, of: &Gathered) -> Vec<Value> {
        let services: Vec<String> = of.services.iter().map(kube::ResourceExt::name_any).collect();
        let belongs = Belongs::to(&of.store.name_any(), &services);
        let mut events = self.list(Some(namespace), EVENTS, "").await;
        events.retain(|event| event["regarding"]["name"].as_str().is_some_and(|name| belongs.owns(name)));
        events
    }

    async fn secrets(&mut self, namespace: &str) -> Option<Vec<Secret>> {
        let found = self.try_list(Some(namespace), SECRETS, "").await?;
        Some(found.into_iter().filter_map(|secret| serde_json::from_value(secret).ok()).collect())
    }

    async fn operator(&mut self, namespace: &str) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        let problems = self.problems.len();
        for kind in [DEPLOYMENTS, PODS] {
            let objects = self.list(Some(namespace), kind, OPERATOR).await;
            found.extend(
                objects.into_iter().map(|object| (format!("operator/{}/{}", kind.plural, name(&object)), object)),
            );
        }
        if found.is_empty() && self.problems.len() == problems {
            self.problems.push(format!(
                "the operator: it is not in namespace {namespace}; name its own with --operator-namespace"
            ));
        }
        found
    }

    /// The logs of the pods among `objects`, those of containers that ended before included.
    async fn logs(
        &mut self,
        namespace: &str,
        folder: &str,
        objects: &[(String, Value)],
        plural: &str,
    ) -> Vec<(String, String)> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pods = objects.iter().filter(|(place, _)| place.contains(&format!("{plural}/")));
        let wanted = pods.flat_map(|(_, pod)| wanted_logs(pod, folder));
        let reads = wanted.map(|wanted| {
            let api = api.clone();
            async move { (wanted.place, api.logs(&wanted.pod, &wanted.parameters).await) }
        });
        let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
        let mut logs = Vec::new();
        for (place, log) in read {
            match log {
                Ok(log) => logs.push((place, log)),
                Err(error) => self.problems.push(format!("{place}: {}", cause(&error))),
            }
        }
        logs
    }

    async fn versions(&mut self, operator: &[(String, Value)]) -> Value {
        let server = match self.client.apiserver_version().await {
            Ok(version) => json!(version.git_version),
            Err(error) => {
                self.problems.push(format!("the version of Kubernetes: {}", cause(&error)));
                Value::Null
            }
        };
        let containers =
            operator.iter().flat_map(|(_, object)| object["spec"]["containers"].as_array().into_iter().flatten());
        let images: BTreeSet<&str> = containers.filter_map(|container| container["image"].as_str()).collect();
        json!({"plugin": env!("CARGO_PKG_VERSION"), "kubernetes": server, "operatorImages": images})
    }
}

/// A log to read.
struct Wanted {
    place: String,
    pod: String,
    parameters: LogParams,
}

fn wanted_logs(pod: &Value, folder: &str) -> Vec<Wanted> {
    let statuses = ["initContainerStatuses", "containerStatuses"].map(|list| pod["status"][list].as_array());
    let mut wanted = Vec::new();
    for status in statuses.into_iter().flatten().flatten() {
        let container = status["name"].as_str().unwrap_or_default();
        let mut want = |previous: bool, end: &str| {
            let parameters = LogParams {
                container: Some(container.to_owned()),
                tail_lines: Some(LINES),
                timestamps: true,
                previous,
                ..LogParams::default()
            };
            let place = format!("{folder}/{}/{container}{end}", name(pod));
            wanted.push(Wanted { place, pod: name(pod).to_owned(), parameters });
        };
        if status["state"].get("waiting").is_none() || status["lastState"].get("terminated").is_some() {
            want(false, "");
        }
        if status["lastState"].get("terminated").is_some() {
            want(true, ".previous");
        }
    }
    wanted
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Whether the object is the store or of the store: by its label, or, where a user made it, by what it names.
fn is_of(object: &Value, store: &str) -> bool {
    let labelled = object["metadata"]["labels"][label::STORE] == store;
    let itself = object["kind"] == "Store" && name(object) == store;
    labelled || itself || (object["kind"] == "StoreService" && object["spec"]["store"] == store)
}

/// What matters of a node: how much it has, and how it is.
fn node(node: &Value) -> Value {
    let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let conditions: Vec<Value> =
        conditions.iter().map(|condition| json!({"type": condition["type"], "status": condition["status"]})).collect();
    json!({
        "name": name(node),
        "capacity": node["status"]["capacity"],
        "allocatable": node["status"]["allocatable"],
        "nodeInfo": node["status"]["nodeInfo"],
        "taints": node["spec"]["taints"],
        "conditions": conditions,
    })
}
