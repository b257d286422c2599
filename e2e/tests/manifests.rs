//! Manifests: those that must be refused are refused with a reason, and those in `examples/` do what they say.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Cluster, Machine, Namespace, Outcome, PODS, Resource, SECRETS, SERVICES, STORE_DATABASES, STORE_SERVICES,
    STORE_TOPICS, STORES, Seen, Space, Store, documents, wait_until, workspace,
};
use serde::Deserialize;
use serde_json::{Value, json};

const READY: Duration = Duration::from_mins(3);

/// A file of `tests/data/invalid`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    /// A part of the message.
    expect: String,
    /// What is there already, where it is the change that is refused.
    before: Option<Value>,
    /// What must be refused.
    manifest: Value,
}

#[tokio::test]
async fn invalid_manifests_are_refused_with_a_message_that_says_what_to_do() -> Result<()> {
    let cluster = Cluster::connect().await?;
    // Given a namespace in which objects may be written but no pod starts
    let space = cluster.namespace("invalid").await?;
    space.apply(NO_PODS).await?;
    let files = files(&workspace().join("e2e/tests/data/invalid"))?;
    ensure!(files.len() >= 25, "only {} invalid manifests", files.len());

    // When somebody applies a manifest that is wrong
    let mut wrong = Vec::new();
    for file in &files {
        // Then it is refused with the message that belongs to it, and nothing is stored or changed.
        let text = fs::read_to_string(file)?;
        let invalid: Invalid = serde_yaml::from_str(&text).with_context(|| file.display().to_string())?;
        if let Err(error) = refuse(&space, &invalid).await {
            wrong.push(format!("{}: {error:#}", file.file_name().unwrap_or_default().display()));
        }
    }
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
    space.remove(READY).await
}

#[tokio::test]
async fn every_example_is_accepted_as_it_stands() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let space = cluster.namespace("examples").await?;
    // Given the examples
    let files = files(&workspace().join("examples"))?;
    ensure!(files.len() >= 5, "{files:?}");
    for file in &files {
        // When the API server is asked
        let text = fs::read_to_string(file)?;
        let Outcome { success, stderr, .. } = space.try_apply(&text, &["--dry-run=server"]).await?;

        // Then it would take each, without a warning.
        ensure!(success && !stderr.to_lowercase().contains("warning"), "{}: {stderr}", file.display());
    }
    Ok(())
}

#[tokio::test]
async fn the_example_of_a_topic_makes_one_and_takes_it_away() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let (text, topic) = example("topic.yaml")?;
    let (name, topic_name) = (text_of(&topic["metadata"]["name"])?, text_of(&topic["spec"]["topicName"])?);

    // Given a store with Kafka, when the topic is applied beside it
    store.space().apply(&text).await?;
    let ready = ready(store.space(), STORE_TOPICS, &name).await;
    let described = describe_topic(&store, &topic_name).await;
    store.space().delete(STORE_TOPICS, &name).await?;
    store.space().wait_gone(STORE_TOPICS, &name, READY).await?;
    ready?;

    // Then the brokers have it, as described
    let described = described?;
    ensure!(described.contains(&format!("PartitionCount: {}", topic["spec"]["partitions"])), "{described}");
    ensure!(described.contains("retention.ms=604800000"), "{described}");

    // and no longer after it was deleted, as its policy says.
    ensure!(describe_topic(&store, &topic_name).await.is_err(), "{topic_name} is still there");
    Ok(())
}

#[tokio::test]
async fn the_production_example_runs_on_a_database_server_of_ones_own() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a database server that exists, here the one of the example of databases
    let databases = cluster.namespace_named("databases").await?;
    let (text, database) = example("database.yaml")?;
    databases.apply(&text).await?;
    ready(&databases, STORE_DATABASES, &text_of(&database["metadata"]["name"])?).await?;
    let login =
        databases.get(SECRETS, &format!("{}-postgres-superuser", text_of(&database["metadata"]["name"])?)).await?;
    let service = databases.get(SERVICES, &format!("{}-postgres", text_of(&database["metadata"]["name"])?)).await?;
    databases
        .create(
            SERVICES,
            &json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "postgres"},
                "spec": {"selector": service["spec"]["selector"], "ports": [{"port": 5432}]},
            }),
        )
        .await?;

    // and a registry with the images, a storage class, and the two logins that the example names
    let (_, production) = example("production.yaml")?;
    let images = pull_from_registry(&cluster, &production).await?;
    let space = cluster.namespace("production").await?;
    cluster.space("default").apply(FAST).await?;
    space.create(SECRETS, &json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "postgres-admin"}, "data": admin(&login["data"])?,
    })).await?;
    space.apply(REGISTRY).await?;

    // When the store is applied, at the size of this machine
    let store = Store::new((*space).clone(), &text_of(&production["metadata"]["name"])?);
    space.apply(&small(production).to_string()).await?;
    let ready = store.wait_ready(READY).await;
    let products = match &ready {
        Ok(_) => space.ask(&store.child("gateway"), "http", "/api/products").await,
        Err(_) => Ok(String::new()),
    };
    let own = space.select(PODS, "app.kubernetes.io/name=postgres").await?;

    space.delete(STORES, store.name()).await?;
    space.wait_gone(STORES, store.name(), READY).await?;
    clean(&cluster, &images, [space, databases]).await?;

    // Then it is ready, without a database server of its own, and the shop answers.
    ready?;
    assert_eq!(own.len(), 0);
    assert_eq!(serde_json::from_str::<Value>(&products?)?["items"], json!([]));
    Ok(())
}

/// So that a store of a refused change costs nothing.
const NO_PODS: &str = r#"{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}}"#;

const FAST: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: fast
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
allowVolumeExpansion: true
";

const REGISTRY: &str = r#"
apiVersion: v1
kind: Secret
metadata:
  name: registry
type: kubernetes.io/dockerconfigjson
stringData:
  .dockerconfigjson: '{"auths": {}}'
"#;

async fn refuse(space: &Space, invalid: &Invalid) -> Result<()> {
    let kind = kind(&invalid.manifest)?;
    let name = text_of(&invalid.manifest["metadata"]["name"])?;
    let generation = match &invalid.before {
        Some(before) => {
            space.apply(&before.to_string()).await.context("the object of before")?;
            Some(space.get(kind, &name).await?["metadata"]["generation"].clone())
        }
        None => None,
    };
    let outcome = space.try_apply(&invalid.manifest.to_string(), &[]).await?;
    let now = space.find(kind, &name).await?.map(|object| object["metadata"]["generation"].clone());
    space.delete(kind, &name).await?;
    ensure!(!outcome.success, "it was accepted");
    ensure!(outcome.stderr.contains(&invalid.expect), "not {:?} but: {}", invalid.expect, outcome.stderr.trim());
    ensure!(now == generation, "something was stored: generation {generation:?} before, {now:?} after");
    Ok(())
}

/// Waits until an object is ready, at its present generation.
async fn ready(space: &Space, resource: Resource, name: &str) -> Result<()> {
    wait_until(space, &format!("{name} to be ready"), READY, async || {
        let object = space.get(resource, name).await?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().any(|condition| {
            condition["type"] == "Ready"
                && condition["status"] == "True"
                && condition["observedGeneration"] == object["metadata"]["generation"]
        });
        Ok(Seen::when(ready, json!(conditions).to_string()))
    })
    .await
}

async fn describe_topic(store: &Store, topic: &str) -> Result<String> {
    let broker = format!("{}-0", store.child("kafka"));
    let describe = [
        "exec",
        &broker,
        "--namespace",
        store.space().name(),
        "--",
        "env",
        "KAFKA_HEAP_OPTS=-Xmx64m",
        "/opt/kafka/bin/kafka-topics.sh",
        "--bootstrap-server",
        "localhost:9092",
        "--describe",
        "--topic",
        topic,
    ];
    // It prints tabs.
    Ok(store.space().kubectl().run(describe).await?.replace('\t', " "))
}

/// The images of the production example as if its registry had been asked: those of the shared store under its names.
/// Gives the names.
async fn pull_from_registry(cluster: &Cluster, production: &Value) -> Result<Vec<String>> {
    let spec = &production["spec"];
    let services = format!("{}:{}", text_of(&spec["image"]["repository"])?, text_of(&spec["version"])?);
    let (kafka, cache) = (text_of(&spec["kafka"]["managed"]["image"])?, text_of(&spec["cache"]["managed"]["image"])?);
    let ours =
        [cluster.store().await?.image("gateway").await?, "apache/kafka:4.1.1".to_owned(), "redis:7.0".to_owned()];
    let theirs = vec![services, kafka, cache];
    for node in cluster.nodes().await? {
        for (ours, theirs) in ours.iter().zip(&theirs) {
            Machine::of_the_cluster().tag_image(&text_of(&node["metadata"]["name"])?, ours, theirs).await?;
        }
    }
    Ok(theirs)
}

/// The example with one small pod of everything: what it asks for fits on no laptop.
fn small(mut production: Value) -> Value {
    let spec = &mut production["spec"];
    for part in ["kafka", "cache"] {
        if let Some(managed) = spec[part]["managed"].as_object_mut() {
            managed.remove("resources");
            managed["storage"]["size"] = json!("1Gi");
        }
    }
    for service in spec["services"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        service.remove("resources");
        if service.contains_key("replicas") {
            service.insert("replicas".to_owned(), json!(1));
        }
        if let Some(autoscaling) = service.get_mut("autoscaling") {
            autoscaling["minReplicas"] = json!(1);
        }
    }
    production
}

/// `username` and `password` of the superuser's Secret, whatever its other keys are.
fn admin(data: &Value) -> Result<Value> {
    ensure!(
        data["username"].is_string() && data["password"].is_string(),
        "the superuser's Secret has other keys: {data}"
    );
    Ok(json!({"username": data["username"], "password": data["password"]}))
}

async fn clean(cluster: &Cluster, images: &[String], namespaces: [Namespace; 2]) -> Result<()> {
    for namespace in namespaces {
        namespace.remove(READY).await?;
    }
    cluster.kubectl().run(["delete", "storageclass", "fast"]).await?;
    for node in cluster.nodes().await? {
        for image in images {
            Machine::of_the_cluster().untag_image(&text_of(&node["metadata"]["name"])?, image).await?;
        }
    }
    Ok(())
}

/// An example: its text and its only object.
fn example(file: &str) -> Result<(String, Value)> {
    let text = fs::read_to_string(workspace().join("examples").join(file))?;
    let objects = documents(&text)?;
    ensure!(objects.len() == 1, "{file} has {} objects", objects.len());
    Ok((text, objects[0].clone()))
}

/// The YAML files of a folder, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

fn kind(manifest: &Value) -> Result<Resource> {
    Ok(match manifest["kind"].as_str() {
        Some("Store") => STORES,
        Some("StoreService") => STORE_SERVICES,
        Some("StoreDatabase") => STORE_DATABASES,
        Some("StoreTopic") => STORE_TOPICS,
        other => anyhow::bail!("{other:?} is none of our kinds"),
    })
}

fn text_of(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("{value} is no text"))
}
