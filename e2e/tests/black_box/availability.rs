//! What shoppers notice of the work behind the shop: nothing.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    AUTOSCALERS, Cluster, Crowd, DEPLOYMENTS, Lies, Load, PODS, SECRETS, STORE_DATABASES, Seen, Shot, Store, unique,
    wait_until,
};
use serde_json::{Value, json};

use crate::release::{Later, Release};

const ROLLOUT: Duration = Duration::from_mins(3);
const READY: Duration = Duration::from_mins(5);
/// Pods with a volume of the node's own, and all others.
const DATA: &str = "greencommerce.dev/tier=data";
const MOVABLE: &str = "greencommerce.dev/tier!=data";

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_every_service_is_restarted() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store under load
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let crowd = Crowd::enter(&cluster).await?;

    // When every service is restarted, all at once
    cluster.kubectl().run(["rollout", "restart", "deployment", "--namespace", store.space().name()]).await?;
    for service in Store::services() {
        store.wait_rolled_out(service, ROLLOUT).await?;
    }

    // Then no request has failed.
    let report = crowd.leave().await?;
    println!("restarts: {report}");
    report.expect_no_failure()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_new_release_rolls_out() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store under load, another release on every node (the same content under a new tag), and a catalogue to which
    // a release after that has added
    let store = cluster.store().await?;
    let before = store.wait_ready(READY).await?;
    let release = Release::like_that_of(&store, &cluster).await?;
    let later = Later::adds(&store).await?;
    let (crowd, lies) = (Crowd::enter(&cluster).await?, Lies::watch_for(&store));

    // When the store is to run it
    store.patch(&json!({"spec": {"image": {"tag": release.tag}}})).await?;
    let rolled_out = wait_until(store.space(), "every service to run the release", READY, async || {
        let deployments = store.space().list(DEPLOYMENTS).await?;
        let of = |deployment: &Value| deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        let images: BTreeSet<String> = deployments.iter().map(|deployment| of(deployment).to_string()).collect();
        Ok(Seen::when(images == BTreeSet::from([json!(release.image).to_string()]), format!("{images:?}")))
    })
    .await;
    let settled = store.wait_ready(READY).await;
    let (report, lies) = (crowd.leave().await?, lies.told().await?);

    // Then no request has failed, and the store says what it runs, and never said it before it was so.
    let status = settled.map(|store| store["status"].clone());
    store.patch(&json!({"spec": {"image": {"tag": before["spec"]["image"]["tag"]}}})).await?;
    store.wait_ready(READY).await?;
    later.undo().await?;
    let tag = release.tag.clone();
    release.remove(&cluster).await?;
    println!("release: {report}");
    rolled_out?;
    assert_eq!(lies, Vec::<String>::new());
    let status = status?;
    for service in status["services"].as_array().into_iter().flatten() {
        assert_eq!(service["version"], json!(tag), "{status}");
    }
    report.expect_no_failure()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_every_database_password_is_replaced() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store under load
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let before = logins(&store).await?;
    let crowd = Crowd::enter(&cluster).await?;

    // When new passwords are asked for
    let asked = unique("rotation");
    store.patch(&json!({"metadata": {"annotations": {"greencommerce.dev/rotate": asked}}})).await?;
    let replaced =
        wait_until(store.space(), "every login to be another, and the one before closed", READY, async || {
            let after = logins(&store).await?;
            let all = after.iter().zip(&before).all(|(after, before)| after != before);
            let database = store.space().get(STORE_DATABASES, store.name()).await?;
            let conditions = database["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let rotating =
                conditions.iter().find(|condition| condition["type"] == "Rotating").cloned().unwrap_or_default();
            Ok(Seen::when(
                all && rotating["status"] == "False" && rotating["reason"] == "Settled",
                rotating.to_string(),
            ))
        })
        .await;
    let settled = store.wait_ready(READY).await;
    let report = crowd.leave().await?;

    // Then no request has failed.
    println!("passwords: {report}");
    replaced?;
    settled?;
    report.expect_no_failure()
}

/// What the Secrets of a store's databases hold.
async fn logins(store: &Store) -> Result<Vec<Value>> {
    let secrets = store.space().select(SECRETS, &format!("greencommerce.dev/database={}", store.name())).await?;
    let logins = secrets.iter().filter(|secret| secret["data"]["uri"].is_string());
    Ok(logins.map(|secret| secret["data"].clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_grows_with_its_load_and_shrinks_after_it() -> Result<()> {
    let cluster = Cluster::changing_the_store().await?;
    // Given a catalogue that runs one pod, and may run three
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let catalog = store.child("catalog");
    let autoscaler = store.space().get(AUTOSCALERS, &catalog).await?;
    assert_eq!((&autoscaler["spec"]["minReplicas"], &autoscaler["spec"]["maxReplicas"]), (&json!(1), &json!(3)));
    let pods = async |wanted: u64| {
        wait_until(store.space(), &format!("{wanted} pods of the catalogue"), READY, async || {
            let deployment = store.space().get(DEPLOYMENTS, &catalog).await?;
            let autoscaler = store.space().get(AUTOSCALERS, &catalog).await?;
            let there = deployment["spec"]["replicas"] == wanted && deployment["status"]["readyReplicas"] == wanted;
            Ok(Seen::when(there, format!("{} {}", deployment["status"], autoscaler["status"])))
        })
        .await
    };
    pods(1).await?;

    // When many look at long lists
    let guest = cluster.shop()?;
    let mix = ["/api/products?limit=100", "/api/search?q=recycled&limit=50"].map(|path| Shot::get(&guest, path));
    let load = Load::start(150, mix.to_vec())?;
    // Then it grows to three pods,
    let grown = pods(3).await;
    let report = load.stop().await?;
    grown.with_context(|| report.to_string())?;
    ensure!(report.succeeded() > 0, "{report}");
    // the operator does not fight the autoscaler,
    store.wait_ready(READY).await?;
    // and when they have gone, it is one again.
    pods(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_node_is_drained() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let nodes = cluster.node_names().await?;
    ensure!(nodes.len() >= 2, "a node can be drained only where another is left: cargo xtask up --nodes 2");
    // Given a store with two pods of each service that the load needs, some of each on one node
    let store = cluster.store().await?;
    let before = store.set_service(json!({"name": "catalog", "replicas": 2})).await?;
    store.wait_ready(READY).await?;
    let path = ["gateway", "catalog", "cart", "auth"];
    let victim = node_with_least_data(&store, &nodes).await?;
    for service in path {
        bring_to(&store, service, &victim).await?;
    }
    let crowd = Crowd::enter(&cluster).await?;

    // When a node is drained of everything but what its disk binds to it, and comes back
    let movable = format!("--pod-selector={MOVABLE}");
    let arguments = ["drain", &victim, &movable, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s"];
    let drained = cluster.kubectl().run(arguments).await;
    let emptied = pods_on(&store, &victim).await;
    let settled = store.wait_ready(READY).await;
    cluster.kubectl().run(["uncordon", &victim]).await?;
    let report = crowd.leave().await?;
    store.set_services(before).await?;
    store.wait_ready(READY).await?;

    // Then every pod has left it, and no request has failed.
    println!("drain: {report}");
    drained?;
    assert_eq!(emptied?, Vec::<String>::new());
    settled?;
    report.expect_no_failure()
}

/// The node that holds the fewest of the pods with a volume: those cannot move.
async fn node_with_least_data(store: &Store, nodes: &[String]) -> Result<String> {
    let data = store.space().select(PODS, DATA).await?;
    let held = |node: &&String| data.iter().filter(|pod| pod["spec"]["nodeName"] == node.as_str()).count();
    nodes.iter().min_by_key(held).cloned().context("no node")
}

/// Makes sure that the drain is none for show: at least one pod of the service is on the node. After an earlier drain
/// they are together elsewhere; with the other nodes closed, a restart brings them over.
async fn bring_to(store: &Store, service: &str, node: &str) -> Result<()> {
    let is_there =
        async || -> Result<bool> { Ok(store.pods(service).await?.iter().any(|pod| pod["spec"]["nodeName"] == node)) };
    if is_there().await? {
        return Ok(());
    }
    let kubectl = store.space().kubectl();
    let others = format!("--selector=kubernetes.io/hostname!={node}");
    kubectl.run(["cordon", &others]).await?;
    let deployment = format!("deployment/{}", store.child(service));
    let restarted = kubectl.run(["rollout", "restart", &deployment, "--namespace", store.space().name()]).await;
    let rolled_out = store.wait_rolled_out(service, ROLLOUT).await;
    kubectl.run(["uncordon", &others]).await?;
    restarted?;
    rolled_out?;
    ensure!(is_there().await?, "no pod of {service} is on {node}, and the other nodes were closed");
    Ok(())
}

/// Pods of the store on a node that can move and are not done.
async fn pods_on(store: &Store, node: &str) -> Result<Vec<String>> {
    let pods = store.space().select(PODS, MOVABLE).await?;
    let on_it = pods.iter().filter(|pod| pod["spec"]["nodeName"] == node);
    let alive = on_it.filter(|pod| pod["status"]["phase"] != "Succeeded" && pod["status"]["phase"] != "Failed");
    Ok(alive.filter_map(|pod| pod["metadata"]["name"].as_str()).map(str::to_owned).collect())
}
