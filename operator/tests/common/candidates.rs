//! Operators that stand for election, and how soon the next leader writes.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use kubekit::{Launch, Mark, Operator, Space};
use serde_json::Value;

use crate::setup::program;

/// The lease that candidates stand for.
pub(crate) const LEASE_NAME: &str = "greencommerce-operator";
/// Between two changes of somebody who keeps the leader busy.
const TICK: Duration = Duration::from_millis(50);

/// One of several operators of a namespace.
pub(crate) fn candidate(space: &Space<'_>) -> Launch {
    Launch::new(program()).namespace(space.name()).candidate(space.name())
}

/// One that leads a world at rest, with a service in it, and one that stands by.
pub(crate) async fn leader_and_standby(space: &Space<'_>, service: &Value) -> (Operator, Operator) {
    let launch = candidate(space);
    leave_a_vacant_lease(space).await;
    let leader = launch.start(space.cluster());
    leader.ready().await;
    space.apply(service).await;
    space.ready("StoreService", name(service)).await;
    let standby = launch.start(space.cluster());
    standby.ready().await;
    assert!(wrote(space, &leader, Mark::BEGINNING) && !wrote(space, &standby, Mark::BEGINNING));
    (leader, standby)
}

/// Changes the service again and again, so that there is always something to write, until `next` has written. Returns how long
/// that took since `begun`.
///
/// # Panics
///
/// When it takes longer than `limit`.
pub(crate) async fn taken_over(
    space: &Space<'_>,
    next: &Operator,
    service: impl Fn(u32) -> Value,
    (begun, limit): (Instant, Duration),
) -> Duration {
    let mark = space.cluster().audit().mark();
    // As many as a service may have pods.
    for number in (2..=100).cycle() {
        space.apply(&service(number)).await;
        if wrote(space, next, mark) {
            break;
        }
        assert!(begun.elapsed() < limit, "{} wrote nothing in {limit:?}", next.user());
        tokio::time::sleep(TICK).await;
    }
    let took = begun.elapsed();
    space.ready("StoreService", name(&service(0))).await;
    took
}

/// As the last leader leaves it: who finds no lease at all waits before it makes one.
async fn leave_a_vacant_lease(space: &Space<'_>) {
    let metadata = ObjectMeta { name: Some(LEASE_NAME.to_owned()), ..ObjectMeta::default() };
    let vacant = Lease { metadata, ..Lease::default() };
    let leases: Api<Lease> = space.api();
    leases.create(&PostParams::default(), &vacant).await.unwrap();
}

fn name(service: &Value) -> &str {
    service["metadata"]["name"].as_str().unwrap_or_default()
}

fn wrote(space: &Space<'_>, operator: &Operator, since: Mark) -> bool {
    space.writes(since).iter().any(|write| write.user == operator.user())
}
