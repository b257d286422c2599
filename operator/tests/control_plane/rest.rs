//! A world at rest: the operator writes nothing, and one that starts anew finds nothing to do.

use std::time::Duration;

use devenv::Backing;
use kubekit::Space;
use serde_json::{Value, json};

use crate::{
    database::{Tenants, administrator},
    setup::{cluster, program},
    shop,
    story::{END, has_looked_at_everything, rest, service},
};

const QUIET: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_for_a_minute_in_which_nothing_changes_nor_by_an_operator_that_starts_anew() {
    let cluster = cluster().await;
    let space = cluster.space().await;
    let tenants = Tenants::default();
    let first = space.operator(program(), None).await;
    settle(&tenants, &space).await;

    let mark = cluster.audit().mark();
    tokio::time::sleep(QUIET).await;
    assert_eq!(space.writes(mark), [], "the operator wrote although nothing changed");

    first.kill();
    let second = space.operator(program(), None).await;
    has_looked_at_everything(&space, &second).await;
    rest(&space, END).await;
    assert_eq!(space.writes(mark), [], "a new operator wrote although nothing changed");
}

/// A shop, and beside it a service and a topic of somebody's own. The shop's broker runs nowhere, so its topics wait;
/// everything else is ready.
async fn settle(tenants: &Tenants, space: &Space<'_>) {
    space.apply(&administrator()).await;
    space.apply(&shop::store(tenants, space)).await;
    space.apply(&service(&json!({"store": "own", "replicas": 2}))).await;
    space.apply(&topic(space)).await;
    space.ready("StoreService", "green-catalog").await;
    space.ready("StoreTopic", "own").await;
    space.ready("StoreDatabase", "shop").await;
    for name in shop::SERVICES {
        space.ready("StoreService", name).await;
    }
    rest(space, shop::BROKER_TIMEOUT).await;
}

fn topic(space: &Space<'_>) -> Value {
    let kafka = Backing::of_checkout().kafka().expect("Kafka starts");
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": "own"},
        "spec": {"bootstrapServers": kafka.bootstrap_servers(), "topicName": format!("{}.own", space.identifier())},
    })
}
