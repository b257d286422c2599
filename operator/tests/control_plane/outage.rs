//! The control plane dies and comes back: the operators idle, then converge, and still one of them leads.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use kubekit::{Cluster, DEADLINE, Mark, Operator, Server, Space};

use serde_json::json;

use crate::{
    candidates::{candidate, leader_and_standby},
    leader::{one_after_the_other, replicas},
    setup,
    story::{END, LOOK, rest, service},
};

/// Short enough for the leader to be still there at its end, so that its idleness can be seen.
const OUTAGE: Duration = Duration::from_secs(5);
/// Longer than a lease holds.
const LONG_OUTAGE: Duration = Duration::from_secs(30);
/// Of one CPU, while there is nothing to talk to.
const IDLE: f64 = 0.1;
const IMAGE: &str = "registry.example/shop:2";

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_killed_and_comes_back_is_waited_for() {
    survives(Server::ApiServer, async |_, operators| idles(operators, OUTAGE).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_killed_and_comes_back_is_waited_for() {
    survives(Server::Etcd, async |_, operators| idles(operators, OUTAGE).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_for_longer_than_anybody_leads_is_waited_for_by_who_starts_meanwhile() {
    survives(Server::ApiServer, async |space, operators| {
        let begun = Instant::now();
        while begun.elapsed() < LONG_OUTAGE {
            start_again(space, operators);
            tokio::time::sleep(LOOK).await;
        }
        assert!(operators[0].ended().is_some(), "the leader leads on although its lease has run out");
        assert!(operators.len() <= 4, "who starts without an API server ends: {operators:?}");
    })
    .await;
}

/// A control plane of their own for tests that kill it.
async fn frail_cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    tokio::task::spawn_blocking(|| CLUSTER.get_or_init(setup::start)).await.unwrap()
}

/// Kills the server, does something until it is to be back, and sees that nothing was lost and that work goes on.
async fn survives(server: Server, meanwhile: impl AsyncFnOnce(&Space<'_>, &mut Vec<Operator>)) {
    // The tests kill the same servers.
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = TURN.lock().await;
    let cluster = frail_cluster().await;
    let space = cluster.space().await;
    let (leader, standby) = leader_and_standby(&space, &replicas(1)).await;
    rest(&space, END).await;
    let (state, lives) = (space.state().await, space.lives(Mark::BEGINNING));

    let mut operators = vec![leader, standby];
    cluster.control_plane().kill(server);
    meanwhile(&space, &mut operators).await;
    cluster.control_plane().restart(server).await;

    space.apply(&service(&json!({"replicas": 1, "image": IMAGE}))).await;
    let begun = Instant::now();
    while !space.is_ready("StoreService", "green-catalog").await {
        assert!(begun.elapsed() < DEADLINE, "the change was not made: {operators:?}");
        start_again(&space, &mut operators);
        tokio::time::sleep(LOOK).await;
    }
    println!("after the end of {server:?}: ready again after {:.1} s", begun.elapsed().as_secs_f64());
    rest(&space, END).await;
    let deployment = space.get("Deployment", "green-catalog").await.unwrap();
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], IMAGE);
    assert!(space.state().await.names().eq(state.names()), "other objects are there than before");
    assert_eq!(space.lives(Mark::BEGINNING), lives, "something was made or deleted");
    one_after_the_other(&space, &operators.iter().collect::<Vec<_>>());
}

/// They do next to nothing for so long.
async fn idles(operators: &[Operator], time: Duration) {
    let used = || -> Vec<Duration> {
        operators.iter().map(|operator| operator.cpu_time().expect("it waits and does not end")).collect()
    };
    let (before, begun) = (used(), Instant::now());
    tokio::time::sleep(time).await;
    for (before, after) in before.into_iter().zip(used()) {
        let share = after.saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
        println!("an operator without a control plane uses {share:.3} of a CPU");
        assert!(share < IDLE, "{share} of a CPU");
    }
}

/// What the kubelet does: an operator that has ended, as one does that could not renew its lease in time, starts anew.
fn start_again(space: &Space<'_>, operators: &mut Vec<Operator>) {
    let ended = operators.iter().filter(|operator| operator.ended().is_some()).count();
    let alive = operators.len() - ended;
    for _ in alive..2 {
        operators.push(candidate(space).start(space.cluster()));
    }
}
