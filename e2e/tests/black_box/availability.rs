//! What shoppers notice of the work behind the shop: nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    AUTOSCALERS, Cluster, Crowd, DEPLOYMENTS, LEASES, Lies, Load, Machine, PODS, STATEFUL_SETS, Seen, Shot, Store,
    wait_until,
};
use serde_json::{Value, json};

use crate::{
    cluster::up,
    plugin::plugin,
    release::{Later, Release},
};

const ROLLOUT: Duration = Duration::from_mins(3);
const READY: Duration = Duration::from_mins(5);
/// Longer than anybody's lease holds: the operator's 10 seconds, those of the control plane 15, a node's 40.
const AWAY: Duration = Duration::from_secs(75);
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
    lies.sees_it_ready().await?;

    // When the store is to run its version, and when it goes back by hand
    store.patch(&json!({"spec": release.wanted()})).await?;
    let rolled_out = wait_until(store.space(), "every service to run the release", READY, async || {
        let deployments = store.space().list(DEPLOYMENTS).await?;
        let of = |deployment: &Value| deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        let images: BTreeSet<String> = deployments.iter().map(|deployment| of(deployment).to_string()).collect();
        Ok(Seen::when(images == BTreeSet::from([json!(release.image).to_string()]), format!("{images:?}")))
    })
    .await;
    let status = store.wait_ready(READY).await.map(|store| store["status"].clone());
    let seen = lies.sees_it_ready().await;
    let back = plugin(&store, &["rollback", store.name(), "--yes", "--wait", "--timeout", "5m"]).await;
    let spec = store.get().await?["spec"].clone();
    let (report, looked) = (crowd.leave().await?, lies.told().await?);

    // Then no request has failed, and the store says what it runs, and never said it before it was so.
    store.patch(&json!({"spec": {"version": before["spec"]["version"], "image": before["spec"]["image"]}})).await?;
    store.wait_ready(READY).await?;
    later.undo().await?;
    let (version, image) = (release.version.clone(), release.image.clone());
    release.remove(&cluster).await?;
    println!("release: {report}{looked}");
    rolled_out?;
    seen?;
    back?.expect(0)?;
    assert_eq!((&spec["version"], &spec["image"]), (&before["spec"]["version"], &before["spec"]["image"]));
    let status = status?;
    for service in status["services"].as_array().into_iter().flatten() {
        assert_eq!(service["version"], json!(version), "{status}");
    }
    let record = &status["history"][0];
    assert_eq!((&record["from"], &record["to"]), (&before["spec"]["version"], &json!(version)));
    assert_eq!(
        (&record["image"], &record["result"], &record["reason"]),
        (&json!(image), &json!("Succeeded"), &json!(null))
    );
    looked.expect_truth(&[true, false, true, false, true])?;
    report.expect_no_failure()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_the_operator_restarts_no_pod_and_fails_no_request() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store under load, and another release of the operator on every node
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let before = pod_templates(&store).await?;
    let present = operator_image(&cluster).await?;
    let release = Release::made_of(&present, &cluster).await?;
    let crowd = Crowd::enter(&cluster).await?;

    // When the chart is upgraded to it, and taken back
    let upgraded = cluster.upgrade_operator(&release.version).await;
    let image = operator_image(&cluster).await;
    let followed = a_wish_is_followed(&store).await;
    let after = pod_templates(&store).await;
    let back = match &upgraded {
        Ok(()) => cluster.take_operator_back().await,
        Err(_) => Ok(()),
    };
    let handed_over = one_of_the_new_leads(&cluster).await;
    let settled = store.wait_ready(READY).await;
    let report = crowd.leave().await?;

    // Then it has looked after the store, no pod of which was made anew, and no request has failed.
    println!("operator: {report}");
    upgraded?;
    assert_eq!(image?, release.image);
    followed?;
    assert_eq!(after?, before);
    back?;
    handed_over?;
    settled?;
    assert_eq!((pod_templates(&store).await?, operator_image(&cluster).await?), (before, present));
    release.remove(&cluster).await?;
    report.expect_no_failure()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_there_is_no_api_server_and_the_operator_goes_on_after_it() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store under load
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let (templates, starts) = (pod_templates(&store).await?, restarts(&store).await?);
    let nodes = cluster.node_names().await?;
    let crowd = Crowd::enter(&cluster).await?;

    // When the API server is killed, and comes back when every lease has run out
    Machine::of_the_cluster().kill_api_server(nodes.first().context("no node")?).await?;
    tokio::time::sleep(AWAY).await;
    up().await?;

    // Then the operator goes on as if nothing had been,
    let followed = a_wish_is_followed(&store).await;
    let led = one_of_the_new_leads(&cluster).await;
    let settled = store.wait_ready(READY).await;
    let alive = every_node_is_alive(&cluster).await;
    let report = crowd.leave().await?;
    println!("no API server: {report}");
    followed?;
    led?;
    settled?;
    alive?;
    // no pod was made anew, no container started again,
    assert_eq!(pod_templates(&store).await?, templates);
    let again = restarts(&store).await?;
    let again: Vec<_> = again.iter().filter(|(pod, count)| starts.get(*pod).is_some_and(|was| was != *count)).collect();
    assert_eq!(again, vec![], "started again");
    // and no request has failed.
    report.expect_no_failure()
}

/// Waits until each node has given a sign of life from now on: nobody has a reason to take it for dead any more.
async fn every_node_is_alive(cluster: &Cluster) -> Result<()> {
    let leases = cluster.space("kube-node-lease");
    let signs = async || -> Result<Vec<Value>> {
        Ok(leases.list(LEASES).await?.iter().map(|lease| lease["spec"]["renewTime"].clone()).collect())
    };
    let before = signs().await?;
    wait_until(&leases, "every node to give a sign of life", READY, async || {
        let now = signs().await?;
        let all = now.len() == before.len() && now.iter().zip(&before).all(|(now, before)| now != before);
        Ok(Seen::when(all, format!("{before:?}, then {now:?}")))
    })
    .await
}

/// How often the containers of each pod were started again.
async fn restarts(store: &Store) -> Result<BTreeMap<String, u64>> {
    let pods = store.space().list(PODS).await?;
    let of = |pod: &Value| {
        let containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        containers.filter_map(|container| container["restartCount"].as_u64()).sum()
    };
    Ok(pods.iter().map(|pod| (pod["metadata"]["name"].to_string(), of(pod))).collect())
}

async fn operator_image(cluster: &Cluster) -> Result<String> {
    let deployment = cluster.operator().get(DEPLOYMENTS, "greencommerce-operator").await?;
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
    image.map(str::to_owned).context("the operator has no image")
}

/// Waits until no pod of the operator is ending any more, and one of those that are there leads.
async fn one_of_the_new_leads(cluster: &Cluster) -> Result<()> {
    let home = cluster.operator();
    wait_until(&home, "one of the operator's present pods to lead", ROLLOUT, async || {
        let pods = home.select(PODS, "app.kubernetes.io/name=greencommerce-operator").await?;
        let lease = home.get(LEASES, "greencommerce-operator").await?["spec"].clone();
        let holder = lease["holderIdentity"].as_str().unwrap_or_default();
        let stays = |pod: &Value| pod["metadata"]["deletionTimestamp"].is_null();
        let leads = |pod: &Value| pod["metadata"]["name"].as_str().is_some_and(|name| holder.starts_with(name));
        Ok(Seen::when(pods.iter().all(stays) && pods.iter().any(leads), format!("{} pods, {lease}", pods.len())))
    })
    .await
}

/// What the store's pods are made of: while that stays, none is replaced.
async fn pod_templates(store: &Store) -> Result<BTreeMap<String, Value>> {
    let mut templates = BTreeMap::new();
    for resource in [DEPLOYMENTS, STATEFUL_SETS] {
        for workload in store.space().list(resource).await? {
            let name = workload["metadata"]["name"].as_str().context("a workload without a name")?;
            templates.insert(format!("{}/{name}", resource.plural()), workload["spec"]["template"].clone());
        }
    }
    Ok(templates)
}

/// Asks for something that makes no pod anew, and takes it back.
async fn a_wish_is_followed(store: &Store) -> Result<()> {
    for (deadline, seconds) in [(json!("11m"), 660), (json!(null), 600)] {
        store.patch(&json!({"spec": {"upgrade": {"progressDeadline": deadline}}})).await?;
        wait_until(store.space(), "the operator to follow", ROLLOUT, async || {
            let cart = store.space().get(DEPLOYMENTS, &store.child("cart")).await?;
            let held = &cart["spec"]["progressDeadlineSeconds"];
            Ok(Seen::when(*held == json!(seconds), held.to_string()))
        })
        .await?;
    }
    Ok(())
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
    let mix =
        ["/api/products?limit=100", "/api/search?q=recycled&limit=50"].map(|path| Shot::get(&guest, path).again());
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
    // Given a store with two pods of each service, some of each on one node
    let store = cluster.store().await?;
    let before = store.set_service(json!({"name": "catalog", "replicas": 2})).await?;
    store.wait_ready(READY).await?;
    let victim = node_with_least_data(&store, &nodes).await?;
    for service in Store::services() {
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
