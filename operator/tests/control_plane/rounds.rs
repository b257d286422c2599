//! What somebody changes on servers outside of the cluster, of which nothing tells.

use std::time::Duration;

use devenv::Backing;
use kubekit::{Space, wait_until};
use operator::{Gate, store_topic::brokers::Brokers};
use serde_json::{Value, json};

use crate::{
    database::{Tenants, administrator, database, postgres},
    setup::{cluster, program},
};

/// A round takes a minute where there is one namespace to look at.
pub(crate) const TWO_ROUNDS: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_a_topic_that_somebody_drops_are_made_again_on_the_rounds() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    space.apply(&administrator()).await;
    space.apply(&database(&tenants, &space, &["auth"], "Delete")).await;
    let bootstrap = tokio::task::spawn_blocking(|| Backing::of_checkout().kafka().unwrap().bootstrap_servers());
    let bootstrap = bootstrap.await.unwrap();
    space.apply(&topic(&space, &bootstrap)).await;
    space.ready("StoreDatabase", "green").await;
    space.ready("StoreTopic", "green").await;

    let database = format!("{}_auth", space.identifier());
    postgres().query("postgres", &format!("DROP DATABASE \"{database}\" WITH (FORCE)")).unwrap();
    brokers(&bootstrap).delete(space.name()).await.unwrap();
    let is_there = format!("SELECT 1 FROM pg_database WHERE datname = '{database}'");
    let again = async || {
        let database = postgres().query("postgres", &is_there).unwrap() == "1";
        let topics = brokers(&bootstrap).look(&[space.name().to_owned()]).await.unwrap();
        (database && topics.contains_key(space.name())).then_some(())
    };
    wait_until(TWO_ROUNDS, "both to be there again", again).await;
    space.ready("StoreDatabase", "green").await;
    space.ready("StoreTopic", "green").await;
}

fn topic(space: &Space<'_>, bootstrap: &str) -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": "green"},
        "spec": {
            "bootstrapServers": bootstrap, "topicName": space.name(), "partitions": 1, "deletionPolicy": "Delete",
        },
    })
}

fn brokers(bootstrap: &str) -> Brokers {
    Brokers::new(&Gate::open(), bootstrap).unwrap()
}
