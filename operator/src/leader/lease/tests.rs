use serde_json::{Value, json};

use super::*;
use crate::framework::{
    scenario::{Call, Scenario},
    uptime::fake::Hands,
};

const ALL: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases";
const ONE: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases/operator";

fn lease(holder: Option<&str>, version: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "operator", "namespace": "system", "resourceVersion": version},
        "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 10, "leaseTransitions": 1,
            "renewTime": "2026-01-01T00:00:00.000000Z", "acquireTime": "2026-01-01T00:00:00.000000Z",
        },
    })
}

fn absent() -> Call {
    Call::refused(format!("GET {ONE}"), 404, "not found")
}

fn found(holder: Option<&str>, version: &str) -> Call {
    Call::ok(format!("GET {ONE}"), lease(holder, version))
}

fn created() -> Call {
    Call::ok(format!("POST {ALL}?"), lease(Some("me"), "1"))
}

fn replaced(holder: Option<&str>, version: &str) -> Call {
    Call::ok(format!("PUT {ONE}?"), lease(holder, version))
}

/// The lease as the last leader gave it back.
fn vacant() -> Call {
    found(None, "0")
}

fn taken() -> Call {
    replaced(Some("me"), "1")
}

struct Play {
    scenario: Scenario,
    leadership: Leadership,
    gate: Gate,
    hands: Hands,
}

/// A candidate whose API server expects these calls.
fn play(calls: Vec<Call>) -> Play {
    let (scenario, context, _) = Scenario::of(calls);
    let hands = Hands::default();
    let gate = Gate::closed(hands.clock());
    let candidate =
        Candidate { identity: "me".to_owned(), namespace: "system".to_owned(), name: "operator".to_owned() };
    let leadership = Leadership::new(context.client, candidate, gate.clone(), hands.clock());
    Play { scenario, leadership, gate, hands }
}

impl Play {
    async fn round_at(&mut self, seconds: u64) -> Result<Duration, Lost> {
        self.hands.set(Duration::from_secs(seconds));
        self.leadership.round().await
    }
}

#[tokio::test]
async fn who_finds_no_lease_for_as_long_as_one_lasts_makes_it_and_leads() {
    let mut play = play(vec![absent(), absent(), created()]);
    assert_eq!(play.round_at(90).await, Ok(Duration::from_secs(1)));
    assert!(!play.gate.is_open());
    assert_eq!(play.round_at(100).await, Ok(Duration::ZERO));
    assert!(play.gate.is_open());
    assert_eq!(play.round_at(100).await, Ok(Duration::from_millis(2500)), "and then waits, without a call");
    let made = &play.scenario.finish()[2];
    assert_eq!(made["spec"]["holderIdentity"], "me");
    assert_eq!(made["spec"]["leaseDurationSeconds"], 10);
}

#[tokio::test]
async fn who_makes_the_lease_too_late_is_a_standby() {
    let taken = Call::refused(format!("POST {ALL}?"), 409, "already exists");
    let mut play = play(vec![absent(), absent(), taken, found(Some("rival"), "1")]);
    assert_eq!(play.round_at(90).await, Ok(Duration::from_secs(1)));
    assert_eq!(play.round_at(100).await, Ok(Duration::from_secs(1)));
    assert_eq!(play.round_at(101).await, Ok(Duration::from_secs(1)));
    assert!(!play.gate.is_open());
    play.scenario.finish();
}

#[tokio::test]
async fn a_standby_reads_each_second_and_takes_over_when_the_lease_is_released() {
    let mut play =
        play(vec![found(Some("rival"), "1"), found(Some("rival"), "1"), found(None, "2"), replaced(Some("me"), "3")]);
    assert_eq!(play.round_at(100).await, Ok(Duration::from_secs(1)));
    assert_eq!(play.round_at(101).await, Ok(Duration::from_secs(1)));
    assert!(!play.gate.is_open());
    assert_eq!(play.round_at(102).await, Ok(Duration::ZERO));
    assert!(play.gate.is_open());
    let taken = &play.scenario.finish()[3];
    assert_eq!(taken["metadata"]["resourceVersion"], "2");
    assert_eq!((&taken["spec"]["holderIdentity"], &taken["spec"]["leaseTransitions"]), (&json!("me"), &json!(2)));
}

#[tokio::test]
async fn a_standby_follows_a_killed_leader_when_the_lease_has_ended() {
    let mut play = play(vec![found(Some("rival"), "1"), found(Some("rival"), "1"), replaced(Some("me"), "2")]);
    play.round_at(100).await.unwrap();
    assert_eq!(play.round_at(110).await, Ok(Duration::ZERO));
    assert!(play.gate.is_open());
    play.scenario.finish();
}

#[tokio::test]
async fn a_renewal_is_one_call_and_opens_the_gate_from_when_it_was_sent() {
    let mut play = play(vec![vacant(), taken(), replaced(Some("me"), "2")]);
    play.round_at(100).await.unwrap();
    assert_eq!(play.round_at(103).await, Ok(Duration::ZERO));
    play.hands.set(Duration::from_millis(109_999));
    assert!(play.gate.is_open());
    play.hands.set(Duration::from_secs(110));
    assert!(!play.gate.is_open());
    assert_eq!(play.scenario.finish()[2]["metadata"]["resourceVersion"], "1");
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_from_what_the_lease_is_by_then() {
    let refused = Call::refused(format!("PUT {ONE}?"), 500, "etcdserver: request timed out");
    let mut play = play(vec![vacant(), taken(), refused, found(Some("me"), "5"), replaced(Some("me"), "6")]);
    play.round_at(100).await.unwrap();
    assert_eq!(play.round_at(103).await, Ok(Duration::from_secs(1)));
    assert_eq!(play.round_at(104).await, Ok(Duration::ZERO));
    assert_eq!(play.scenario.finish()[4]["metadata"]["resourceVersion"], "5");
}

#[tokio::test]
async fn a_leader_that_finds_another_holder_closes_the_gate_and_ends() {
    let conflict = Call::refused(format!("PUT {ONE}?"), 409, "the object has been modified");
    let mut play = play(vec![vacant(), taken(), conflict, found(Some("rival"), "5")]);
    play.round_at(100).await.unwrap();
    play.round_at(103).await.unwrap();
    assert_eq!(play.round_at(104).await, Err(Lost::Taken("rival".to_owned())));
    assert!(!play.gate.is_open());
    play.scenario.finish();
}

#[tokio::test]
async fn a_leader_that_cannot_reach_the_api_server_ends_at_its_deadline() {
    let away = || Call::refused(format!("GET {ONE}"), 503, "unavailable");
    let refused = Call::refused(format!("PUT {ONE}?"), 503, "unavailable");
    let mut play = play(vec![vacant(), taken(), refused, away(), away()]);
    play.round_at(100).await.unwrap();
    for second in 103..=105 {
        play.round_at(second).await.unwrap();
        assert!(play.gate.is_open());
    }
    assert!(matches!(play.round_at(107).await, Err(Lost::Overdue(_))));
    assert!(!play.gate.is_open());
    play.scenario.finish();
}

#[tokio::test]
async fn a_process_that_was_frozen_makes_no_call_when_it_wakes() {
    let mut play = play(vec![vacant(), taken()]);
    play.round_at(100).await.unwrap();
    assert!(matches!(play.round_at(120).await, Err(Lost::Overdue(_))));
    play.scenario.finish();
}

#[tokio::test]
async fn a_leader_makes_a_deleted_lease_again() {
    let gone = Call::refused(format!("PUT {ONE}?"), 404, "not found");
    let mut play = play(vec![vacant(), taken(), gone, absent(), created()]);
    play.round_at(100).await.unwrap();
    play.round_at(103).await.unwrap();
    assert_eq!(play.round_at(104).await, Ok(Duration::ZERO));
    assert!(play.gate.is_open());
    play.scenario.finish();
}

#[tokio::test]
async fn the_lease_is_emptied_at_the_end_and_the_gate_is_closed_before() {
    let mut play = play(vec![vacant(), taken(), replaced(None, "2")]);
    play.round_at(100).await.unwrap();
    play.leadership.release().await;
    assert!(!play.gate.is_open());
    let released = &play.scenario.finish()[2];
    assert_eq!(released["spec"]["holderIdentity"], Value::Null);
    assert_eq!(released["metadata"]["resourceVersion"], "1");
}

#[tokio::test]
async fn a_standby_that_ends_leaves_the_lease_alone() {
    let Play { scenario, leadership, .. } = play(vec![]);
    let (lead, release) = (CancellationToken::new(), CancellationToken::new());
    release.cancel();
    assert_eq!(leadership.run(lead.clone(), release).await, Ok(()));
    assert!(!lead.is_cancelled());
    scenario.finish();
}

#[tokio::test]
async fn winning_is_told_and_ending_releases() {
    let Play { scenario, leadership, .. } = play(vec![vacant(), taken(), replaced(None, "2")]);
    let (lead, release) = (CancellationToken::new(), CancellationToken::new());
    let end = async {
        lead.cancelled().await;
        release.cancel();
    };
    let (outcome, ()) = tokio::join!(leadership.run(lead.clone(), release.clone()), end);
    assert_eq!(outcome, Ok(()));
    scenario.finish();
}
