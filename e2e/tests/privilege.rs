//! The operator's rights are those it uses: all of them, and no others. The API server's audit log is the measure.

use std::{collections::BTreeSet, fmt, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    AUTOSCALERS, BUDGETS, CLAIMS, CLUSTER_ROLES, CONFIG_MAPS, Cluster, INGRESSES, POD_MONITORS, PODS, Request,
    Resource, SERVICES, STORE_SERVICES, STORE_TOPICS, STORES, Seen, Space, Store, wait_until,
};
use serde_json::{Value, json};

/// The kind of the Prometheus Operator, as far as this operator uses it.
const POD_MONITOR_DEFINITION: &str = include_str!("../../operator/tests/control_plane/pod_monitors.yaml");
const READY: Duration = Duration::from_mins(3);
/// The operator's name as a user, and the names of its roles.
const OPERATOR: &str = "system:serviceaccount:greencommerce-system:greencommerce-operator";
const CLUSTER_ROLE: &str = "greencommerce-system-greencommerce-operator";
const LEADER_ROLE: &str = "greencommerce-operator-leader";

/// Rights that a run may do without, and why they are granted.
const SPARED: [(&str, &str); 1] =
    [("events.k8s.io/events patch", "an event is counted up only when it comes again within minutes")];

/// What may be done, or was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    /// `group/resource`.
    what: String,
    verb: String,
    /// The namespace and the object that it ends with, where it is so limited.
    namespace: Option<String>,
    name: Option<String>,
}

impl Right {
    /// Whether it is enough for a request.
    fn covers(&self, asked: &Self) -> bool {
        let within = |limit: &Option<String>, asked: &Option<String>| limit.is_none() || limit == asked;
        self.what == asked.what
            && self.verb == asked.verb
            && within(&self.namespace, &asked.namespace)
            && within(&self.name, &asked.name)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.verb)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

/// It comes late in the alphabet and looks at the whole log, so that what the other tests make the operator do counts.
#[tokio::test]
async fn every_right_of_the_operator_is_used_and_it_asks_for_no_other() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given an operator that has also done what is seldom needed
    let in_the_store = async {
        what_is_left_out_is_deleted(&cluster).await?;
        a_topic_that_is_no_longer_asked_for_is_deleted(&cluster).await
    };
    let needs_less = a_service_that_needs_less_loses_what_it_had(&cluster);
    let grows = a_volume_that_is_to_grow_has_its_class_looked_at(&cluster);
    tokio::try_join!(in_the_store, needs_less, grows)?;

    // When its requests are held against its rights
    let granted = granted(&cluster).await?;
    let pods = pods_of_the_present_operator(&cluster).await?;
    let requests = cluster.audit_log().all()?;
    let is_of_it = |request: &&Request| request.user == OPERATOR && request.pod.starts_with(&pods);
    let asked: Vec<&Request> = requests.iter().filter(is_of_it).collect();
    ensure!(asked.len() > 100, "the audit log has {} requests of {OPERATOR} in {pods}*", asked.len());

    // Then it was never refused for want of a right (an API server that has just started refuses until it has read the roles),
    let is_granted = |asked: &Right| granted.iter().any(|right| right.covers(asked));
    let wants = |asked: &&&Request| asked.forbidden && !used_by(asked).iter().all(is_granted);
    let refused: Vec<String> = asked.iter().filter(wants).map(ToString::to_string).collect();
    assert_eq!(refused, Vec::<String>::new());
    // and has no right that it never used.
    let used: BTreeSet<Right> = asked.iter().flat_map(|request| used_by(request)).collect();
    let is_idle = |right: &&Right| !used.iter().any(|used| right.covers(used));
    let idle: Vec<String> = granted.iter().filter(is_idle).map(ToString::to_string).collect();
    let idle: Vec<&String> = idle.iter().filter(|right| SPARED.iter().all(|(spared, _)| right != spared)).collect();
    ensure!(idle.is_empty(), "granted and never used: {idle:?}");
    Ok(())
}

/// How the names of the operator's Pods begin. What an operator of before did on this cluster does not count.
async fn pods_of_the_present_operator(cluster: &Cluster) -> Result<String> {
    let pods = cluster.operator().select(PODS, "app.kubernetes.io/instance=greencommerce").await?;
    let hash = |pod: &Value| pod["metadata"]["labels"]["pod-template-hash"].as_str().map(str::to_owned);
    let hashes: BTreeSet<String> = pods.iter().filter_map(hash).collect();
    ensure!(hashes.len() == 1, "the operator's Pods are of one template: {hashes:?}");
    Ok(format!("greencommerce-operator-{}-", hashes.into_iter().next().unwrap_or_default()))
}

/// The rights of the operator's roles, one by one. A wildcard would be a right that nobody uses.
async fn granted(cluster: &Cluster) -> Result<BTreeSet<Right>> {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let everywhere = format!("{rbac}/{}/{CLUSTER_ROLE}", CLUSTER_ROLES.plural());
    let beside_it = format!("{rbac}/namespaces/{}/roles/{LEADER_ROLE}", cluster.operator().name());
    let mut granted = BTreeSet::new();
    for role in [everywhere, beside_it] {
        let role = cluster.api().get(&role).await?;
        let namespace = role["metadata"]["namespace"].as_str();
        let rules = role["rules"].as_array().context("a role without rules")?;
        granted.extend(rules.iter().flat_map(|rule| rights(rule, namespace)));
    }
    Ok(granted)
}

fn rights(rule: &Value, namespace: Option<&str>) -> Vec<Right> {
    let texts = |field: &str| -> Vec<String> {
        rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut names: Vec<Option<String>> = texts("resourceNames").into_iter().map(Some).collect();
    if names.is_empty() {
        names.push(None);
    }
    let mut all = Vec::new();
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            for (verb, name) in texts("verbs").iter().flat_map(|verb| names.iter().map(move |name| (verb, name))) {
                all.push(Right {
                    what: format!("{group}/{resource}"),
                    verb: verb.clone(),
                    namespace: namespace.map(str::to_owned),
                    name: name.clone(),
                });
            }
        }
    }
    all
}

/// What a request needs a right to. To apply an object that is not there is to create it.
fn used_by(request: &Request) -> Vec<Right> {
    let (namespace, name) = request.object.split_once('/').unwrap_or_default();
    let right = |verb: &str| Right {
        what: format!("{}/{}", request.group, request.resource),
        verb: verb.to_owned(),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
    };
    let creates = request.verb == "patch" && request.code == 201;
    creates.then(|| right("create")).into_iter().chain([right(&request.verb)]).collect()
}

/// A gateway that is left out goes, and its routes with it.
async fn what_is_left_out_is_deleted(cluster: &Cluster) -> Result<()> {
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let (gateway, routes) = (store.child("gateway"), store.child("gateway-routes"));
    // There is nothing to expose without it.
    let exposure = store.get().await?["spec"]["exposure"].clone();
    store.space().patch(STORES, store.name(), &json!({"spec": {"exposure": null}})).await?;
    let before = store.set_service(json!({"name": "gateway", "disabled": true})).await?;
    let gone = async {
        store.space().wait_gone(STORE_SERVICES, &gateway, READY).await?;
        store.space().wait_gone(CONFIG_MAPS, &routes, READY).await
    }
    .await;
    store.set_services(before).await?;
    store.space().patch(STORES, store.name(), &json!({"spec": {"exposure": exposure}})).await?;
    gone?;
    store.wait_ready(READY).await.map(drop)
}

/// A service that a user added gives up a topic.
async fn a_topic_that_is_no_longer_asked_for_is_deleted(cluster: &Cluster) -> Result<()> {
    let store = cluster.store().await?;
    let (space, topic) = (store.space(), store.child("privilege-events"));
    let guest = |topics: Value| {
        json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService", "metadata": {"name": "privilege"},
            "spec": {"store": store.name(), "image": "example.invalid/hello:1", "replicas": 0, "topics": topics},
        })
    };
    space.apply(&guest(json!([{"name": "privilege.events"}])).to_string()).await?;
    made(space, STORE_TOPICS, &topic).await?;
    space.apply(&guest(json!([])).to_string()).await?;
    space.wait_gone(STORE_TOPICS, &topic, READY).await?;
    space.delete(STORE_SERVICES, "privilege").await?;
    space.wait_gone(STORE_SERVICES, "privilege", READY).await
}

async fn made(space: &Space, resource: Resource, name: &str) -> Result<()> {
    wait_until(space, &format!("{} to be made", resource.plural()), READY, async || {
        let found = space.find(resource, name).await?;
        Ok(Seen::when(found.is_some(), "it is not there".to_owned()))
    })
    .await
    .map(drop)
}

/// A service that is no longer scaled or measured, and no longer serves anybody, loses autoscaler, disruption budget, Ingress,
/// Service and `PodMonitor`. The last is of a kind that the cluster has to know first.
async fn a_service_that_needs_less_loses_what_it_had(cluster: &Cluster) -> Result<()> {
    let definition = cluster.kubectl().attempt(["apply", "--filename=-"], POD_MONITOR_DEFINITION).await?;
    ensure!(definition.success, "{}", definition.stderr);
    let space = cluster.namespace("privilege").await?;
    let service = |spec: Value| {
        json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": "hello"}, "spec": spec,
        })
    };
    let (image, ops) = ("example.invalid/hello:1", json!({"name": "ops", "port": 9100}));
    let much = json!({
        "store": "none", "image": image, "autoscaling": {"maxReplicas": 2}, "exposure": {"ingress": {}},
        "podMonitor": {},
        "ports": [{"name": "http", "port": 8080}, ops],
    });
    space.apply(&service(much).to_string()).await?;
    let children = [AUTOSCALERS, BUDGETS, INGRESSES, SERVICES, POD_MONITORS];
    for resource in children {
        made(&space, resource, "hello").await?;
    }
    let little = json!({"store": "none", "image": image, "replicas": 1, "ports": [ops]});
    space.apply(&service(little).to_string()).await?;
    for resource in children {
        space.wait_gone(resource, "hello", READY).await?;
    }
    let definition = "podmonitors.monitoring.coreos.com";
    cluster.kubectl().run(["delete", "customresourcedefinition", definition]).await?;
    space.remove(READY).await
}

/// Where no pod may run, a store says so in the words of an event. It still has its claims, and a larger size is held against
/// the storage class.
async fn a_volume_that_is_to_grow_has_its_class_looked_at(cluster: &Cluster) -> Result<()> {
    let space = cluster.namespace("privilege-growth").await?;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}},
    });
    space.apply(&quota.to_string()).await?;
    let store = Store::new((*space).clone(), "growing");
    space.apply(&manifest(&store, "1Gi")).await?;
    told(&space, &store, "StorageReady", "VolumePending").await?;
    told(&space, &store, "EventsReady", "PodsRefused").await?;
    // A volume that is made for the broker's claim is bound to it, pod or no pod. A claim without one would be made anew.
    let broker = "growing-kafka";
    let claim = space.get(CLAIMS, broker).await?;
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": space.name()},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/growing"},
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": claim["spec"]["storageClassName"],
            "claimRef": {"namespace": space.name(), "name": broker},
        },
    });
    space.apply(&volume.to_string()).await?;
    wait_until(&space, "the broker's claim to be bound", READY, async || {
        let phase = space.get(CLAIMS, broker).await?["status"]["phase"].clone();
        Ok(Seen::when(phase == "Bound", phase.to_string()))
    })
    .await?;
    space.apply(&manifest(&store, "2Gi")).await?;
    told(&space, &store, "StorageReady", "VolumeExpansionUnsupported").await?;
    space.delete(STORES, store.name()).await?;
    space.wait_gone(STORES, store.name(), READY).await?;
    // It goes with the claim that is bound to it.
    cluster.kubectl().run(["delete", "persistentvolume", space.name(), "--wait=false"]).await?;
    space.remove(READY).await
}

fn manifest(store: &Store, size: &str) -> String {
    let storage = json!({"managed": {"storage": {"size": size}}});
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": store.name()},
        "spec": {"version": "1.0.0", "kafka": storage, "cache": storage},
    })
    .to_string()
}

async fn told(space: &Space, store: &Store, condition: &str, reason: &str) -> Result<()> {
    wait_until(space, &format!("{condition} to say {reason}"), READY, async || {
        let conditions = store.get().await?["status"]["conditions"].clone();
        let held = conditions.as_array().into_iter().flatten().find(|held| held["type"] == condition);
        let told = held.is_some_and(|held| held["reason"] == reason);
        Ok(Seen::when(told, conditions.to_string()))
    })
    .await
    .map(drop)
}
