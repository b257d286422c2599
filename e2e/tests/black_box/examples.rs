//! The manifests in `examples/` do what they say.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use e2e::{
    CONFIG_MAPS, Cluster, DEPLOYMENTS, INGRESSES, Machine, Namespace, PODS, SECRETS, SERVICES, STATEFUL_SETS,
    STORE_DATABASES, STORE_SERVICES, STORE_TOPICS, Seen, Space, Store, documents, wait_until, workspace, xtask,
};
use serde_json::{Value, json};

use crate::operator::delete_and_wait;

const READY: Duration = Duration::from_mins(5);

#[tokio::test]
async fn the_example_of_a_topic_makes_one_and_takes_it_away() -> Result<()> {
    let cluster = Cluster::changing_the_store().await?;
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let (text, topic) = example("topic.yaml")?;
    let (name, topic_name) = (text_of(&topic["metadata"]["name"])?, text_of(&topic["spec"]["topicName"])?);

    // Given a store with Kafka, when the topic is applied beside it
    store.space().apply(&text).await?;
    let ready = store.space().wait_ready(STORE_TOPICS, &name, READY).await;
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
    let cluster = Cluster::elsewhere().await?;
    // Given a database server that exists
    let (databases, admin) = database_server(&cluster).await?;

    // and a registry with the images, a storage class, and the two logins that the example names
    let (_, mut production) = example("production.yaml")?;
    production["spec"]["database"]["external"]["host"] = host(&databases);
    let images = pull_from_registry(&cluster, &production).await?;
    let space = cluster.namespace("production").await?;
    cluster.space("default").apply(FAST).await?;
    space.create(SECRETS, &admin).await?;
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

    // When its namespace is deleted, and before anything else in it the login to the database server, which the store needs
    // to remove its data
    store.patch(&json!({"spec": {"deletionPolicy": "Delete"}})).await?;
    let settled = store.wait_ready(READY).await;
    space.delete(SECRETS, &text_of(&admin["metadata"]["name"])?).await?;
    let (gone, databases_gone) = tokio::join!(space.remove(READY), databases.remove(READY));
    databases_gone?;
    clean(&cluster, &images).await?;

    // Then it is ready, without a database server of its own, and the shop answers.
    ready?;
    assert_eq!(own.len(), 0);
    assert_eq!(serde_json::from_str::<Value>(&products?)?["items"], json!([]));
    // and nothing of it holds up the end of its namespace.
    settled?;
    gone
}

#[tokio::test]
async fn the_external_example_runs_on_servers_of_ones_own_and_leaves_nothing_there() -> Result<()> {
    let cluster = Cluster::connect().await?;
    // Given servers that exist: a database server, and here the broker and the cache of the shared store
    let shared = cluster.store().await?;
    let of_shared = topics_of(&shared).await?;
    let (databases, admin) = database_server(&cluster).await?;
    let space = cluster.namespace("external").await?;
    space.create(SECRETS, &admin).await?;
    let cache = format!("redis://{}.{}.svc:6379/1", shared.child("cache"), shared.space().name());
    space.create(SECRETS, &secret("redis", "url", &cache)).await?;

    // When the store is applied, at the size of this machine
    let (_, mut external) = example("external.yaml")?;
    external["spec"]["database"]["external"]["host"] = host(&databases);
    external["spec"]["kafka"]["external"]["bootstrapServers"] =
        json!(format!("{}.{}.svc:9092", shared.child("kafka"), shared.space().name()));
    external["spec"]["kafka"]["external"]["topicReplicas"] = json!(1);
    let prefix = text_of(&external["spec"]["kafka"]["external"]["topicPrefix"])?;
    let store = Store::new((*space).clone(), &text_of(&external["metadata"]["name"])?);
    space.apply(&small(external.clone()).to_string()).await?;
    let ready = store.wait_ready(READY).await;
    let products = match &ready {
        Ok(_) => space.ask(&store.child("gateway"), "http", "/api/products").await,
        Err(_) => Ok(String::new()),
    };
    let during = topics_on_broker(&shared).await?;
    let rules = space.find(INGRESSES, &store.child("gateway")).await?.map(|ingress| ingress["spec"].clone());
    let servers = space.list(STATEFUL_SETS).await?;

    delete_and_wait(&store).await?;
    let after = topics_on_broker(&shared).await?;
    tokio::try_join!(space.remove(READY), databases.remove(READY))?;

    // Then the shop answers and runs no server of its own; its topics are beside those of the other store, and an Ingress
    // leads to it by its name.
    ready?;
    assert_eq!(serde_json::from_str::<Value>(&products?)?["items"], json!([]));
    assert_eq!(servers, Vec::<Value>::new());
    let own = |topics: &BTreeSet<String>| topics.iter().filter(|topic| topic.starts_with(&prefix)).count();
    assert_eq!(own(&during), of_shared.len(), "{during:?}");
    ensure!(during.contains(&format!("{prefix}order.events")), "{during:?}");
    let rules = rules.context("there is no Ingress")?;
    assert_eq!(rules["rules"][0]["host"], external["spec"]["host"]);
    assert_eq!(rules["tls"][0]["secretName"], external["spec"]["exposure"]["ingress"]["tls"]["secretName"]);

    // With the store its topics are gone, and only they.
    assert_eq!(own(&after), 0, "{after:?}");
    ensure!(of_shared.is_subset(&after), "{of_shared:?} are no longer all there: {after:?}");
    Ok(())
}

#[tokio::test]
async fn the_example_of_a_service_gets_a_database_topics_and_a_path_at_the_gateway() -> Result<()> {
    let cluster = Cluster::changing_the_store().await?;
    let store = cluster.store().await?;
    let space = store.space();
    store.wait_ready(READY).await?;
    // Given an image of a user's own, and the Secret that the example names
    tokio::task::spawn_blocking(|| xtask(&["images", "--recipes", "e2e/images", "--load"])).await??;
    let (_, mut guest) = example("service.yaml")?;
    let name = text_of(&guest["metadata"]["name"])?;
    space.apply(&secret("carrier", "token", "sesame").to_string()).await?;

    // When it is applied beside the store
    guest["spec"]["image"] = json!("greencommerce/parcels:test");
    guest["spec"]["store"] = json!(store.name());
    space.apply(&guest.to_string()).await?;
    let ready = space.wait_ready(STORE_SERVICES, &name, READY).await;
    let answer = match &ready {
        Ok(_) => routed(&cluster, "/api/parcels/7").await,
        Err(_) => Ok(json!({})),
    };
    let topic = text_of(&guest["spec"]["topics"][0]["name"])?;
    let described = describe_topic(&store, &topic).await;
    let login = space.find(SECRETS, &store.child(&format!("{name}-database"))).await?;
    let uri = login.as_ref().and_then(|login| login["data"]["uri"].as_str()).map(decode).transpose()?;
    let user = match &uri {
        Some(uri) => store.query(uri, "CREATE TABLE IF NOT EXISTS parcel (id int); SELECT current_user").await,
        None => Ok(String::new()),
    };
    let whole = store.wait_ready(READY).await;

    let gateway = store.child("gateway");
    let before = space.get(DEPLOYMENTS, &gateway).await?["metadata"]["generation"].as_i64();
    space.delete(STORE_SERVICES, &name).await?;
    space.wait_gone(STORE_SERVICES, &name, READY).await?;
    let unrouted = unrouted(&store, &name).await;
    space.delete(SECRETS, "carrier").await?;
    // The store is left as it was found: nothing of the service goes on.
    wait_until(space, "the topics of the service to go, and the gateway to be told", READY, async || {
        let of_service = |topic: &&Value| topic["metadata"]["ownerReferences"][0]["name"] == name.as_str();
        let left = space.list(STORE_TOPICS).await?.iter().filter(of_service).count();
        let now = space.get(DEPLOYMENTS, &gateway).await?["metadata"]["generation"].as_i64();
        Ok(Seen::when(left == 0 && now > before, format!("{left} topics, the gateway's Deployment is at {now:?}")))
    })
    .await?;
    store.wait_rolled_out("gateway", READY).await?;
    store.wait_ready(READY).await?;

    // Then the gateway leads to it, it was told of its database, its brokers and the Secret,
    ready?;
    let (answer, uri) = (answer?, uri.context("there is no login for the database")?);
    assert_eq!((&answer["path"], &answer["token"]), (&json!("/api/parcels/7"), &json!("sesame")));
    assert_eq!(answer["database"], json!(uri));
    ensure!(answer["brokers"].as_str().is_some_and(|brokers| brokers.contains("-kafka")), "{answer}");

    // these are there, the store is as ready as before,
    ensure!(user?.contains(&name), "another role owns the database");
    ensure!(described?.contains("PartitionCount: 3"), "the topic is not as described");
    whole?;
    // and once it is deleted nothing leads to it any more.
    unrouted
}

/// From a service that is ready until nodes have taken up the address of its pod.
const ADDRESSED: Duration = Duration::from_mins(1);

/// What the gateway answers, to whichever of its pods the request comes.
async fn routed(cluster: &Cluster, path: &str) -> Result<Value> {
    let shop = cluster.shop()?;
    let space = cluster.store().await?.space().clone();
    wait_until(&space, &format!("the gateway to lead to {path}"), ADDRESSED, async || {
        // Not over a connection to a pod that is about to end.
        let answer = shop.on_new_connections()?.get(path).send().await?;
        Ok(match answer.status.as_u16() {
            200 => Seen::Yes(answer.json()?),
            status => Seen::NotYet(format!("it answers {status}")),
        })
    })
    .await
}

async fn unrouted(store: &Store, guest: &str) -> Result<()> {
    wait_until(store.space(), &format!("no route to lead to {guest}"), READY, async || {
        let routes = store.space().get(CONFIG_MAPS, &store.child("gateway-routes")).await?;
        Ok(Seen::when(!routes["data"].to_string().contains(guest), routes["data"].to_string()))
    })
    .await
}

fn secret(name: &str, key: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}})
}

fn decode(base64: &str) -> Result<String> {
    Ok(String::from_utf8(BASE64.decode(base64)?)?)
}

/// The names of a store's own topics, which guests and others may add to.
async fn topics_of(store: &Store) -> Result<BTreeSet<String>> {
    let topics = store.space().list(STORE_TOPICS).await?;
    let own = topics.iter().filter(|topic| topic["metadata"]["ownerReferences"][0]["kind"] == "Store");
    own.map(|topic| text_of(&topic["spec"]["topicName"])).collect()
}

/// The names of the topics on a store's broker, whoever made them.
async fn topics_on_broker(store: &Store) -> Result<BTreeSet<String>> {
    Ok(on_broker(store, &["--list"]).await?.lines().map(str::to_owned).collect())
}

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

async fn describe_topic(store: &Store, topic: &str) -> Result<String> {
    // It prints tabs.
    Ok(on_broker(store, &["--describe", "--topic", topic]).await?.replace('\t', " "))
}

async fn on_broker(store: &Store, arguments: &[&str]) -> Result<String> {
    let broker = format!("{}-0", store.child("kafka"));
    let tool = "/opt/kafka/bin/kafka-topics.sh";
    let run = ["exec", &broker, "--namespace", store.space().name(), "--", "env", "KAFKA_HEAP_OPTS=-Xmx64m", tool];
    store.space().kubectl().run([&run[..], &["--bootstrap-server", "localhost:9092"], arguments].concat()).await
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
    for part in ["/kafka/managed", "/cache/managed"] {
        if let Some(managed) = spec.pointer_mut(part).and_then(Value::as_object_mut) {
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

/// A PostgreSQL server, and the Secret with its administrator: here the example of databases.
async fn database_server(cluster: &Cluster) -> Result<(Namespace, Value)> {
    let space = cluster.namespace("databases").await?;
    let (text, database) = example("database.yaml")?;
    space.apply(&text).await?;
    let name = text_of(&database["metadata"]["name"])?;
    space.wait_ready(STORE_DATABASES, &name, READY).await?;
    let pods = space.get(SERVICES, &format!("{name}-postgres")).await?["spec"]["selector"].clone();
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "postgres"},
        "spec": {"selector": pods, "ports": [{"port": 5432}]},
    });
    space.create(SERVICES, &service).await?;
    let login = space.get(SECRETS, &format!("{name}-postgres-superuser")).await?["data"].clone();
    ensure!(login["username"].is_string() && login["password"].is_string(), "the superuser's Secret has other keys");
    let admin = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "postgres-admin"},
        "data": {"username": login["username"], "password": login["password"]},
    });
    Ok((space, admin))
}

/// Its address, for stores of other namespaces.
fn host(databases: &Space) -> Value {
    json!(format!("postgres.{}.svc.cluster.local", databases.name()))
}

async fn clean(cluster: &Cluster, images: &[String]) -> Result<()> {
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

fn text_of(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("{value} is no text"))
}
