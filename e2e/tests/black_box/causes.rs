//! What cannot run says why, by the name of the cause, and runs once the cause is gone. What runs beside it notices nothing.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Cluster, DEPLOYMENTS, Namespace, PODS, Resource, STORE_DATABASES, STORE_SERVICES, Seen, Space, wait_until, xtask,
};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_mins(3);
const WORKS: &str = "greencommerce/parcels:test";
const EXITS: &str = "greencommerce/services:failing-migration";

#[tokio::test]
async fn a_service_that_cannot_run_says_why_and_runs_once_the_cause_is_gone() -> Result<()> {
    let (cluster, space) = begin("causes").await?;
    // Given a service that runs
    space.apply(&service("healthy", &json!({})).to_string()).await?;
    space.wait_ready(STORE_SERVICES, "healthy", DEADLINE).await?;
    let healthy = pods(&space, "healthy").await?;

    // When others want what no node has, an image that nobody has, and an image that ends at once
    let causes = [
        ("too-large", json!({"resources": {"requests": {"cpu": "1000"}}}), "Unschedulable"),
        ("nowhere", json!({"image": "greencommerce/parcels:nowhere"}), "ImagePullFailed"),
        ("ends", json!({"image": EXITS, "args": ["migrate"]}), "CrashLooping"),
    ];
    for (name, with, _) in &causes {
        space.apply(&service(name, with).to_string()).await?;
    }
    // Then each says so, with the name of its pod,
    for (name, _, reason) in &causes {
        let message = told(&space, STORE_SERVICES, name, reason).await?;
        ensure!(message.contains(name), "{message}");
    }
    // and runs once it wants what there is.
    for (name, _, _) in &causes {
        space.apply(&service(name, &json!({})).to_string()).await?;
    }
    for (name, _, _) in &causes {
        space.wait_ready(STORE_SERVICES, name, DEADLINE).await?;
    }

    assert_eq!(pods(&space, "healthy").await?, healthy);
    drop(cluster);
    space.remove(DEADLINE).await
}

#[tokio::test]
async fn a_quota_that_is_too_small_is_told_and_taken_up_once_it_is_larger() -> Result<()> {
    let (cluster, space) = begin("quota").await?;
    // Given a namespace that is full
    let quota = |pods: u32| json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"}, "spec": {"hard": {"pods": pods}}});
    space.apply(&service("healthy", &json!({})).to_string()).await?;
    space.wait_ready(STORE_SERVICES, "healthy", DEADLINE).await?;
    let healthy = pods(&space, "healthy").await?;
    space.apply(&quota(1).to_string()).await?;

    // When one service more is described, and a database
    space.apply(&service("late", &json!({})).to_string()).await?;
    let database = json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "late"},
        "spec": {"managed": {"storage": {"size": "1Gi"}}, "databases": [{"name": "auth"}], "deletionPolicy": "Delete"},
    });
    space.apply(&database.to_string()).await?;
    let begun = Instant::now();

    // Then both say which quota is in their way,
    for resource in [STORE_SERVICES, STORE_DATABASES] {
        let message = told(&space, resource, "late", "PodsRefused").await?;
        println!("{} late says that its pods are refused after {:?}", resource.plural(), begun.elapsed());
        ensure!(message.contains("exceeded quota"), "{message}");
    }
    // and run when there is room, for the cluster's controllers, which wait ever longer, are told to try again.
    let tried = async || -> Result<Value> {
        let deployment = space.get(DEPLOYMENTS, "late").await?;
        Ok(deployment["metadata"]["annotations"]["greencommerce.dev/tried"].clone())
    };
    let before = tried().await?;
    space.apply(&quota(10).to_string()).await?;
    let begun = Instant::now();
    wait_until(&space, "the pods to be tried again", DEADLINE, async || {
        let now = tried().await?;
        Ok(Seen::when(now != before && now.is_string(), now.to_string()))
    })
    .await?;
    println!("the pods are tried again after {:?}", begun.elapsed());
    for resource in [STORE_SERVICES, STORE_DATABASES] {
        space.wait_ready(resource, "late", DEADLINE).await?;
        println!("{} late is ready after {:?}", resource.plural(), begun.elapsed());
    }
    assert_eq!(pods(&space, "healthy").await?, healthy);
    drop(cluster);
    space.remove(DEADLINE).await
}

#[tokio::test]
async fn a_storage_class_that_nobody_knows_is_told_and_can_be_corrected() -> Result<()> {
    let (cluster, space) = begin("storage").await?;
    let database = |storage: Value| {
        json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "green"},
            "spec": {"managed": {"storage": storage}, "databases": [{"name": "auth"}], "deletionPolicy": "Delete"},
        })
    };
    space.apply(&database(json!({"size": "1Gi", "className": "unheard-of"})).to_string()).await?;
    let begun = Instant::now();
    let message = told(&space, STORE_DATABASES, "green", "StorageClassMissing").await?;
    println!("a class that nobody knows is told after {:?}", begun.elapsed());
    ensure!(message.contains("unheard-of"), "{message}");

    space.apply(&database(json!({"size": "1Gi", "className": "local-path"})).to_string()).await?;
    space.wait_ready(STORE_DATABASES, "green", DEADLINE).await?;
    drop(cluster);
    space.remove(DEADLINE).await
}

/// A namespace, and the images of tests on every node.
async fn begin(name: &str) -> Result<(Cluster, Namespace)> {
    let cluster = Cluster::elsewhere().await?;
    tokio::task::spawn_blocking(|| xtask(&["images", "--recipes", "e2e/images", "--load"])).await??;
    let space = cluster.namespace(name).await?;
    Ok((cluster, space))
}

fn service(name: &str, with: &Value) -> Value {
    let mut spec = json!({
        "store": "nobodys", "image": WORKS, "replicas": 1, "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
        "ports": [{"name": "http", "port": 8080}, {"name": "ops", "port": 9100}],
    });
    for (field, value) in with.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService", "metadata": {"name": name}, "spec": spec,
    })
}

/// Waits until an object says that it is not ready for this reason, and gives the message.
async fn told(space: &Space, resource: Resource, name: &str, reason: &str) -> Result<String> {
    let message = wait_until(space, &format!("{name} to say {reason}"), DEADLINE, async || {
        let ready = ready(&space.get(resource, name).await?);
        let says_so = ready["status"] == "False" && ready["reason"] == reason;
        Ok(if says_so { Seen::Yes(ready["message"].clone()) } else { Seen::NotYet(ready.to_string()) })
    })
    .await?;
    message.as_str().map(str::to_owned).context("a condition without a message")
}

/// What it says of being ready.
fn ready(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
    ready.cloned().unwrap_or_default()
}

/// The pods of a service, and how often each has been restarted.
async fn pods(space: &Space, service: &str) -> Result<Vec<(String, u64)>> {
    let pods = space.select(PODS, &format!("greencommerce.dev/service={service}")).await?;
    ensure!(!pods.is_empty(), "{service} has no pod");
    let told = |pod: &Value| {
        let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or_default();
        (pod["metadata"]["uid"].to_string(), restarts)
    };
    Ok(pods.iter().map(told).collect())
}
