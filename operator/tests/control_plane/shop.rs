//! A whole shop, with the operator killed at every one of its writes, life after life.

use std::time::{Duration, Instant};

use kubekit::{Crash, DEADLINE, Mark, Proxy, Space, wait_until};
use serde_json::{Value, json};

use crate::{
    database::{Tenants, administrator},
    setup::{cluster, program},
    story::{END, Step, Story, act, arrives, begin, undisturbed},
};

/// The services of a shop, in the order in which they start.
pub(crate) const SERVICES: [&str; 6] =
    ["shop-auth", "shop-inventory", "shop-catalog", "shop-cart", "shop-orders", "shop-gateway"];
/// Topics that find no broker say so sooner than this.
pub(crate) const BROKER_TIMEOUT: Duration = Duration::from_secs(4);

/// A shop with every default, on a database server of somebody else's.
pub(crate) fn store(tenants: &Tenants, space: &Space<'_>) -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": "shop"},
        "spec": {"version": "1.0.0", "database": {"external": tenants.external(space)}},
    })
}

/// Its broker runs nowhere, so its topics wait; everything else gets ready.
fn opening(tenants: &Tenants, space: &Space<'_>) -> Story {
    let ready = SERVICES.map(|name| Step::Ready("StoreService", name));
    let rest = Step::Rest(BROKER_TIMEOUT);
    Story {
        before: vec![administrator()],
        steps: vec![Step::Apply(store(tenants, space))],
        end: ready.into_iter().chain([Step::Ready("StoreDatabase", "shop"), rest]).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_opens_although_the_operator_is_killed_at_each_of_its_writes() {
    let cluster = cluster().await;
    let tenants = Tenants::default();
    let expected = undisturbed(cluster, |space| opening(&tenants, space)).await;

    let space = cluster.space().await;
    let proxy = Proxy::start(cluster).await;
    let story = opening(&tenants, &space);
    let mut operator = begin(&space, &story, Some(&proxy)).await;
    proxy.crash(Crash::Unanswered(1), &operator);
    act(&space, &story.steps).await;
    let mut lives = 1;
    while crashes(&space, &proxy).await {
        operator.kill();
        operator = space.operator(program(), Some(&proxy)).await;
        proxy.crash(Crash::Unanswered(1), &operator);
        lives += 1;
    }
    proxy.spare();
    println!("{lives} lives for {} writes", expected.writes);
    arrives(&space, "a crash at each write", &expected.state).await;
    assert_eq!(space.lives(Mark::BEGINNING), expected.lives);
}

/// Whether the operator writes once more, and is killed for it. It is done when every service is ready.
async fn crashes(space: &Space<'_>, proxy: &Proxy) -> bool {
    let begun = Instant::now();
    wait_until(DEADLINE, "a crash or rest", || async {
        if proxy.has_crashed() {
            return Some(true);
        }
        let ready = async |name| space.is_ready("StoreService", name).await;
        (begun.elapsed() >= END && futures::future::join_all(SERVICES.map(ready)).await == [true; 6]).then_some(false)
    })
    .await
}
