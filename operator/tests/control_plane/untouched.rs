//! Pods that work are left alone, whatever becomes of the servers and Secrets that they were made with.

use devenv::Backing;
use kubekit::Space;
use serde_json::{Value, json};

use crate::{
    database::administrator,
    healing::{Door, heals, login_of, says},
    servers::{Lent, Servers},
    setup::{cluster, program},
    story::{END, rest},
};

const SERVICE: &str = "shop-auth";

#[tokio::test(flavor = "multi_thread")]
async fn no_trouble_around_a_service_restarts_its_pods_nor_does_its_end() {
    let space = cluster().await.space().await;
    let server = Servers::running().await.lend("shop", &space).await;
    let brokers = Backing::of_checkout().kafka().expect("Kafka starts").bootstrap_servers();
    let mut door = Door::closed().await;
    door.open(brokers.clone()).await;
    let _operator = space.operator(program(), None).await;
    for object in [administrator(), greetings(), store(&space, &server, &door)] {
        space.apply(&object).await;
    }
    space.ready("Store", "shop").await;
    rest(&space, END).await;
    let before = pods(&space).await;

    // The Secret of the service.
    space.delete("Secret", "greetings").await;
    says(&space, "StoreService", SERVICE, "SecretMissing").await;
    stays(&space, &before, "without the service's Secret").await;
    space.apply(&greetings()).await;
    heals(&space, "StoreService", SERVICE).await;

    // The login to the database server.
    space.apply(&login_of("nobody_at_all")).await;
    says(&space, "StoreDatabase", "shop", "DatabaseLoginRefused").await;
    stays(&space, &before, "with a broken login").await;
    space.delete("Secret", "administrator").await;
    says(&space, "StoreDatabase", "shop", "SecretMissing").await;
    stays(&space, &before, "without a login").await;
    space.apply(&administrator()).await;
    heals(&space, "StoreDatabase", "shop").await;

    // The brokers.
    door.close().await;
    says(&space, "StoreTopic", "shop-user-events", "BrokerUnreachable").await;
    stays(&space, &before, "without brokers").await;
    door.open(brokers).await;
    heals(&space, "StoreTopic", "shop-user-events").await;

    heals(&space, "Store", "shop").await;
    stays(&space, &before, "after all that").await;
}

/// What a restart would change.
async fn pods(space: &Space<'_>) -> Value {
    let deployment = space.get("Deployment", SERVICE).await.unwrap();
    let of = |field: &str| deployment["metadata"][field].clone();
    json!({"uid": of("uid"), "generation": of("generation"), "template": deployment["spec"]["template"]})
}

/// What follows from the trouble has happened, and the pods are as they were.
async fn stays(space: &Space<'_>, before: &Value, when: &str) {
    rest(space, END).await;
    assert_eq!(pods(space).await, *before, "{when}");
}

fn greetings() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "greetings"}, "stringData": {"morning": "hello"},
    })
}

/// A store of one service, that has a variable from a Secret, a database and topics.
fn store(space: &Space<'_>, server: &Lent, door: &Door) -> Value {
    let others = ["inventory", "catalog", "cart", "orders", "gateway"];
    let mut services: Vec<Value> = others.map(|name| json!({"name": name, "disabled": true})).into();
    let greeting = json!({"secretKeyRef": {"name": "greetings", "key": "morning"}});
    services.push(json!({"name": "auth", "env": [{"name": "GREETING", "valueFrom": greeting}]}));
    let database = json!({"host": "127.0.0.1", "port": server.port(), "adminSecretRef": {"name": "administrator"}});
    let topics = format!("{}.", space.identifier());
    let kafka = json!({"bootstrapServers": door.address.to_string(), "topicPrefix": topics});
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": "shop"},
        "spec": {
            "version": "1.0.0", "database": {"external": database}, "kafka": {"external": kafka}, "services": services,
        },
    })
}
