//! Several operators, one leader: how soon the next one writes, and that there are never two.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};
use kubekit::{Mark, Operator, Space, eventually, wait_until};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    candidates::{LEASE_NAME, candidate, leader_and_standby, taken_over},
    setup::cluster,
    story::service,
};

const NAME: &str = "green-catalog";
/// How soon after a leader was asked to end the next one has written.
const AFTER_A_FAREWELL: Duration = Duration::from_secs(5);
/// How soon after a leader fell silent the next one has written.
const AFTER_A_CRASH: Duration = Duration::from_secs(15);
/// A candidate that sees no renewal for so long takes the lease.
const LEASE: Duration = Duration::from_secs(10);
/// Topics on brokers that say nothing: with so many, one of them is always waited for.
const SILENT: usize = 20;
/// Between two changes of somebody who keeps whoever leads busy.
const TICK: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn the_next_leader_writes_within_five_seconds_of_a_farewell() {
    let space = cluster().await.space().await;
    let (leader, standby) = leader_and_standby(&space, &replicas(1)).await;
    let begun = Instant::now();
    leader.terminate();
    takes_over(&space, &standby, begun, AFTER_A_FAREWELL, "the next leader's write after a farewell").await;
    let ended = wait_until(AFTER_A_FAREWELL, "the end of the one before", || std::future::ready(leader.ended())).await;
    assert!(ended.success(), "{ended:?}");
    one_after_the_other(&space, &[&leader, &standby]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_waits_for_silent_servers_takes_no_longer_to_say_farewell() {
    let space = cluster().await.space().await;
    let (leader, standby) = leader_and_standby(&space, &replicas(1)).await;
    // The kernel accepts connections, and nobody ever looks at them.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    for number in 0..SILENT {
        let name = format!("silent-{number}");
        let topic = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": name},
            "spec": {"bootstrapServers": address.to_string(), "topicName": name},
        });
        space.apply(&topic).await;
    }
    eventually("silent brokers to be told of", || async {
        let topic = space.get("StoreTopic", "silent-0").await.unwrap();
        topic["status"]["conditions"][0]["reason"] == "BrokerUnreachable"
    })
    .await;
    let begun = Instant::now();
    leader.terminate();
    takes_over(&space, &standby, begun, AFTER_A_FAREWELL, "the next leader's write after a farewell in silence").await;
    let ended = wait_until(AFTER_A_FAREWELL, "the end of the one before", || std::future::ready(leader.ended())).await;
    assert!(ended.success(), "{ended:?}");
    one_after_the_other(&space, &[&leader, &standby]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_leader_writes_within_fifteen_seconds_of_a_crash() {
    let space = cluster().await.space().await;
    let (leader, standby) = leader_and_standby(&space, &replicas(1)).await;
    let begun = Instant::now();
    leader.kill();
    takes_over(&space, &standby, begun, AFTER_A_CRASH, "the next leader's write after a crash").await;
    one_after_the_other(&space, &[&leader, &standby]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_frozen_for_longer_than_its_lease_writes_nothing_when_it_wakes() {
    let space = cluster().await.space().await;
    let (leader, standby) = leader_and_standby(&space, &replicas(1)).await;
    let begun = Instant::now();
    leader.freeze();
    takes_over(&space, &standby, begun, AFTER_A_CRASH, "the next leader's write after a freeze").await;

    // There is something to do for whoever believes to lead.
    let mark = space.cluster().audit().mark();
    space.apply(&replicas(7)).await;
    leader.thaw();
    space.apply(&replicas(8)).await;
    let ended = wait_until(AFTER_A_CRASH, "the end of who lost the lease", || std::future::ready(leader.ended())).await;
    assert!(!ended.success(), "{ended:?}");
    space.ready("StoreService", NAME).await;
    let writes = space.cluster().audit().since(mark);
    let late: Vec<String> =
        writes.iter().filter(|write| write.user == leader.user()).map(ToString::to_string).collect();
    assert!(late.is_empty(), "it wrote when it woke:\n{}", late.join("\n"));
    one_after_the_other(&space, &[&leader, &standby]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_at_a_time_when_somebody_deletes_the_lease_and_a_third_comes_to_it() {
    let space = cluster().await.space().await;
    let (leader, standby) = leader_and_standby(&space, &replicas(1)).await;
    let leases: Api<Lease> = space.api();
    let mark = space.cluster().audit().mark();
    leases.delete(LEASE_NAME, &DeleteParams::default()).await.unwrap();
    let begun = Instant::now();
    let third = candidate(&space).start(space.cluster());
    // Longer than whoever does not know of the deletion may believe to lead.
    for number in (2..10).cycle().take_while(|_| begun.elapsed() < LEASE + Duration::from_secs(5)) {
        space.apply(&replicas(number)).await;
        tokio::time::sleep(TICK).await;
    }
    space.ready("StoreService", NAME).await;
    assert!(!space.writes(mark).is_empty(), "nobody leads");
    one_after_the_other(&space, &[&leader, &standby, &third]);
    let lease = leases.get_opt(LEASE_NAME).await.unwrap().and_then(|lease| lease.spec);
    let holder = lease.and_then(|spec| spec.holder_identity).unwrap_or_default();
    let last = space.writes(mark).last().map(|write| write.user.clone()).unwrap_or_default();
    assert!(holder.starts_with(&format!("{last}_")), "{last} wrote and {holder:?} holds the lease");
}

pub(crate) fn replicas(number: u32) -> Value {
    service(&json!({"replicas": number}))
}

async fn takes_over(space: &Space<'_>, next: &Operator, begun: Instant, limit: Duration, what: &str) {
    let took = taken_over(space, next, replicas, (begun, limit)).await;
    println!("{what}: {:.1} s", took.as_secs_f64());
}

/// Nobody wrote again after another had.
pub(crate) fn one_after_the_other(space: &Space<'_>, known: &[&Operator]) {
    let mut writers: Vec<String> = space.writes(Mark::BEGINNING).into_iter().map(|write| write.user).collect();
    writers.dedup();
    let mut once = writers.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), writers.len(), "two led at the same time: {writers:?}");
    assert!(writers.iter().all(|user| known.iter().any(|operator| operator.user() == user)), "{writers:?}");
}
