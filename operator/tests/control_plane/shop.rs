//! A whole shop, with the operator killed at every one of its writes, life after life.

use std::time::{Duration, Instant};

use kubekit::{Crash, DEADLINE, Mark, Proxy, Space, wait_until};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    database::{administrator, external, remove},
    setup::{cluster, program},
    story::{END, Step, Story, act, arrives, begin, undisturbed},
};

/// The services of a shop, in the order in which they start.
pub(crate) const SERVICES: [&str; 6] =
    ["shop-auth", "shop-inventory", "shop-catalog", "shop-cart", "shop-orders", "shop-gateway"];
/// Topics that find no broker say so sooner than this.
pub(crate) const BROKER_TIMEOUT: Duration = Duration::from_secs(4);

const DATABASES: [&str; 4] = ["auth", "catalog", "inventory", "orders"];

/// The databases of a shop have fixed names, so there is one shop at a time on the server.
pub(crate) struct Server(#[expect(dead_code, reason = "held until the shop is done")] MutexGuard<'static, ()>);

impl Server {
    pub(crate) async fn lock() -> Self {
        static SERVER: Mutex<()> = Mutex::const_new(());
        let guard = SERVER.lock().await;
        Self::clear();
        Self(guard)
    }

    fn clear() {
        remove(&DATABASES.map(str::to_owned));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        Self::clear();
    }
}

/// A shop with every default, on a database server of somebody else's.
pub(crate) fn store() -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": "shop"},
        "spec": {"version": "1.0.0", "database": {"external": external()}},
    })
}

/// Its broker runs nowhere, so its topics wait; everything else gets ready.
fn opening(_: &Space<'_>) -> Story {
    let ready = SERVICES.map(|name| Step::Ready("StoreService", name));
    let rest = Step::Rest(BROKER_TIMEOUT);
    Story {
        before: vec![administrator()],
        steps: vec![Step::Apply(store())],
        end: ready.into_iter().chain([Step::Ready("StoreDatabase", "shop"), rest]).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_opens_although_the_operator_is_killed_at_each_of_its_writes() {
    let cluster = cluster().await;
    let server = Server::lock().await;
    let expected = undisturbed(cluster, opening).await;
    drop(server);

    let _server = Server::lock().await;
    let space = cluster.space().await;
    let proxy = Proxy::start(cluster).await;
    let story = opening(&space);
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
