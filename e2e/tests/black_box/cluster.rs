//! The cluster itself: bringing it up again changes nothing, and heals what was killed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    AUTOSCALERS, BUDGETS, CLAIMS, CONFIG_MAPS, Cluster, DEPLOYMENTS, JOBS, Machine, NODES, PODS, Resource, SECRETS,
    SERVICE_ACCOUNTS, SERVICES, STATEFUL_SETS, STORE_DATABASES, STORE_SERVICES, STORE_TOPICS, STORES, Seen, Space,
    Store, is_ready, unique, wait_until, xtask,
};
use serde_json::{Value, json};

const READY: Duration = Duration::from_mins(5);
/// The administrator in the audit log, as which `cargo xtask up` comes.
const ADMINISTRATORS: [&str; 2] = ["admin", "kubernetes-admin"];

#[tokio::test]
async fn bringing_it_up_again_changes_nothing() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a cluster that is up, with nothing changed since
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    up().await?;
    store.wait_ready(READY).await?;
    nothing_is_on_its_way(store.space()).await?;
    let before = photograph(&[store.space(), &cluster.operator()]).await?;
    let mark = cluster.audit_log().mark()?;

    // When it is brought up again
    let took = up().await?;

    // Then nothing has been written
    let mut writes = Vec::new();
    for administrator in ADMINISTRATORS {
        let requests = cluster.audit_log().writes_since(mark, administrator)?;
        writes.extend(requests.iter().map(ToString::to_string));
    }
    assert_eq!(writes, Vec::<String>::new());
    // and everything is as it was.
    let after = photograph(&[store.space(), &cluster.operator()]).await?;
    let differences: Vec<_> = before.iter().filter(|(key, was)| after.get(*key) != Some(*was)).collect();
    assert_eq!((differences, after.len()), (vec![], before.len()), "{}", store.space().diagnosis().await);
    println!("up with nothing to do took {took:?}");
    Ok(())
}

#[tokio::test]
async fn processes_that_are_killed_come_back() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let machine = Machine::of_the_cluster();
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let nodes = cluster.node_names().await?;
    let (first, last) = (nodes.first().context("no node")?, nodes.last().context("no node")?);

    // Given a kubelet, a containerd, an API server that are killed at once
    machine.kill_of_node("kubelet", first).await?;
    machine.kill_of_node("containerd", last).await?;
    machine.kill_api_server(first).await?;
    // Then shoppers do not notice,
    cluster.shop()?.get("/api/products").send().await?.expect(200)?;

    // and when the cluster is brought up,
    up().await?;

    // every node works: pods start on each and the store is ready.
    wait_until(store.space(), "every node to be ready", READY, async || {
        let nodes = cluster.nodes().await?;
        let ready = |node: &Value| {
            let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        Ok(Seen::when(nodes.iter().all(ready), format!("{:?}", nodes.iter().map(ready).collect::<Vec<_>>())))
    })
    .await?;
    for node in &nodes {
        start_a_pod_on(&store, node).await?;
    }
    store.wait_ready(READY).await?;
    cluster.shop()?.get("/api/products").send().await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_is_killed_is_started_again() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    // Given the process of one of two gateways
    let mut pods = store.pods("gateway").await?;
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    ensure!(pods.len() == 2, "{} gateways", pods.len());
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a pod that does not run");
    let (pod, node) = (text(&pods[0]["metadata"]["name"])?, text(&pods[0]["spec"]["nodeName"])?);
    let container = text(&pods[0]["status"]["containerStatuses"][0]["containerID"])?;
    let restarts = pods[0]["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or_default();

    // When it is killed
    Machine::of_the_cluster().kill_container(&node, &container).await?;

    // Then the kubelet starts it again in its pod, and the store is whole.
    wait_until(store.space(), "the gateway to be started again", READY, async || {
        let status = store.space().get(PODS, &pod).await?["status"]["containerStatuses"][0].clone();
        let again = status["restartCount"].as_u64() > Some(restarts) && status["ready"] == true;
        Ok(Seen::when(again, status.to_string()))
    })
    .await?;
    store.wait_ready(READY).await?;
    cluster.shop()?.get("/api/products").send().await?.expect(200)?;
    Ok(())
}

/// `cargo xtask up`, and how long it took.
pub(crate) async fn up() -> Result<Duration> {
    let begun = Instant::now();
    tokio::task::spawn_blocking(|| xtask(&["up"])).await??;
    Ok(begun.elapsed())
}

/// Has the scheduler put one more pod of a service on the node, and waits until it serves there.
async fn start_a_pod_on(store: &Store, node: &str) -> Result<()> {
    let space = store.space();
    let mut pod = space.get(DEPLOYMENTS, &store.child("cart")).await?["spec"]["template"].clone();
    let name = unique("extra");
    // Without the labels of the service no request comes to it.
    pod["metadata"] = json!({"name": name});
    pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": node});
    space.create(PODS, &pod).await?;
    let ready = wait_until(space, &format!("a pod that serves on {node}"), READY, async || {
        let pod = space.get(PODS, &name).await?;
        Ok(Seen::when(is_ready(&pod) && pod["spec"]["nodeName"] == node, pod["status"].to_string()))
    })
    .await;
    space.delete(PODS, &name).await?;
    space.wait_gone(PODS, &name, READY).await?;
    ready
}

/// Waits until the load of the tests before has left no trace: every autoscaler wants the least, and that is what runs.
async fn nothing_is_on_its_way(space: &Space) -> Result<()> {
    wait_until(space, "the autoscalers to be at rest", READY, async || {
        let mut moving = Vec::new();
        for autoscaler in space.list(AUTOSCALERS).await? {
            let (status, least) = (&autoscaler["status"], &autoscaler["spec"]["minReplicas"]);
            if &status["desiredReplicas"] != least || &status["currentReplicas"] != least {
                moving.push(format!("{}: {status}", autoscaler["metadata"]["name"]));
            }
        }
        let leaving = |pod: &Value| !pod["metadata"]["deletionTimestamp"].is_null();
        let leaving = space.list(PODS).await?.iter().filter(|pod| leaving(pod)).count();
        Ok(Seen::when(moving.is_empty() && leaving == 0, format!("{leaving} pods are leaving; {}", moving.join(", "))))
    })
    .await
}

/// The version of everything in these namespaces, and of the nodes' specs.
async fn photograph(spaces: &[&Space]) -> Result<BTreeMap<String, String>> {
    let kinds = [
        STORES,
        STORE_DATABASES,
        STORE_SERVICES,
        STORE_TOPICS,
        DEPLOYMENTS,
        STATEFUL_SETS,
        JOBS,
        PODS,
        SERVICES,
        SERVICE_ACCOUNTS,
        CONFIG_MAPS,
        SECRETS,
        CLAIMS,
        BUDGETS,
    ];
    let mut album = BTreeMap::new();
    for space in spaces {
        for resource in kinds {
            add(&mut album, space, resource, "/metadata/resourceVersion").await?;
        }
        // Their status has the load of the moment.
        add(&mut album, space, AUTOSCALERS, "/spec").await?;
    }
    for node in spaces[0].cluster().nodes().await? {
        album.insert(format!("{}/{}", NODES.plural(), node["metadata"]["name"]), node["spec"].to_string());
    }
    Ok(album)
}

async fn add(album: &mut BTreeMap<String, String>, space: &Space, resource: Resource, part: &str) -> Result<()> {
    for object in space.list(resource).await? {
        let key = format!("{}/{}/{}", space.name(), resource.plural(), object["metadata"]["name"]);
        album.insert(key, object.pointer(part).unwrap_or_default().to_string());
    }
    Ok(())
}
