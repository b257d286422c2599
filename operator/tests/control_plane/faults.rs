//! Faults between the operator and the API server that last: it still ends where it would have ended, neither runs hot
//! nor deletes anything because of what it saw too late.

use std::time::Duration;

use kubekit::{Cluster, Faults, Lives, Mark, Proxy, Refusal, Space, eventually};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{
    setup::{cluster, program},
    story::{
        END, Ending, Step, Story, act, arrives, arrives_somehow, begin, has_looked_at_everything, rest, service,
        undisturbed,
    },
};

const READY: Step = Step::Ready("StoreService", "green-catalog");
const AUTOSCALER: &str = "horizontalpodautoscalers/green-catalog";

/// A service is made, changed and changed again; its autoscaler comes and goes.
fn life(_: &Space<'_>) -> Story {
    Story {
        before: vec![],
        steps: vec![
            Step::Apply(service(&json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 4}}))),
            READY,
            Step::Apply(service(&json!({
                "image": "registry.example/shop:2", "autoscaling": {"minReplicas": 2, "maxReplicas": 4},
            }))),
            READY,
            Step::Apply(service(&json!({"image": "registry.example/shop:2", "replicas": 3}))),
        ],
        end: vec![READY],
    }
}

/// How that ends when nothing gets in its way; lived once for all tests.
async fn undisturbed_life(cluster: &Cluster) -> &'static Ending {
    static LIFE: OnceCell<Ending> = OnceCell::const_new();
    LIFE.get_or_init(|| undisturbed(cluster, life)).await
}

/// Tells the story under `faults` from beginning to end. Whatever is refused is tried again, but not without end.
async fn ends_alike_under(what: &str, faults: Faults) {
    let cluster = cluster().await;
    let expected = undisturbed_life(cluster).await;
    let space = cluster.space().await;
    let proxy = Proxy::start(cluster).await;
    let story = life(&space);
    let _operator = begin(&space, &story, Some(&proxy)).await;
    proxy.set(faults);
    proxy.cut_watches();
    act(&space, &story.steps).await;
    arrives(&space, what, &expected.state).await;
    assert_eq!(space.lives(Mark::BEGINNING), expected.lives, "{what}");
    let tried = usize::try_from(proxy.writes()).unwrap();
    println!("{what}: {tried} writes tried, {} undisturbed, {} refused", expected.writes, proxy.refused());
    // Half of them are refused at the most; each refusal costs the writes before it once more at the most.
    assert!(tried <= 6 * expected.writes, "{what}: {tried} writes, {} undisturbed", expected.writes);
}

fn refuse(every: u32, code: u16, reads: bool) -> Faults {
    Faults { refuse: Some(Refusal { every, code, reads }), ..Faults::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_conflicts_is_survived() {
    ends_alike_under("every third write is a conflict", refuse(3, 409, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_asks_for_patience_gets_it() {
    ends_alike_under("every third request is too many", refuse(3, 429, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_fails_now_and_then_is_survived() {
    ends_alike_under("every third request fails", refuse(3, 500, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_break_every_second_are_survived() {
    let faults = Faults { watch_life: Some(Duration::from_secs(1)), ..Faults::default() };
    ends_alike_under("every watch breaks after a second", faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_late_are_survived() {
    let faults = Faults { delay: Some(Duration::from_millis(700)), ..Faults::default() };
    ends_alike_under("every event is late", faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_cannot_be_resumed_start_anew() {
    let cluster = cluster().await;
    let expected = undisturbed_life(cluster).await;
    let space = cluster.space().await;
    let proxy = Proxy::start(cluster).await;
    let story = life(&space);
    let _operator = begin(&space, &story, Some(&proxy)).await;
    for step in &story.steps {
        act(&space, std::slice::from_ref(step)).await;
        proxy.expire_watches();
    }
    arrives(&space, "410 Gone", &expected.state).await;
    assert_eq!(space.lives(Mark::BEGINNING), expected.lives);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_lost_are_made_up_for_by_the_next_list() {
    let cluster = cluster().await;
    let expected = undisturbed_life(cluster).await;
    let space = cluster.space().await;
    let proxy = Proxy::start(cluster).await;
    let story = life(&space);
    let _operator = begin(&space, &story, Some(&proxy)).await;
    proxy.set(Faults { lose_every: Some(2), ..Faults::default() });
    // It may wait in vain for what is lost, so nobody waits for it.
    for step in story.steps.iter().filter(|step| matches!(step, Step::Apply(_))) {
        let lost = proxy.lost();
        act(&space, std::slice::from_ref(step)).await;
        eventually("an event to be lost", || std::future::ready(proxy.lost() > lost)).await;
    }
    proxy.heal();
    proxy.expire_watches();
    arrives_somehow(&space, "lost events", &expected.state).await;
    let lives = space.lives(Mark::BEGINNING);
    for (object, times) in &lives {
        let most = u32::from(expected.lives.get(object).is_some_and(|lives| lives.deleted > 0));
        assert!(times.created <= 1 && times.deleted <= most, "{object}: {times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_was_frozen_goes_on_with_the_present() {
    let cluster = cluster().await;
    let expected = undisturbed_life(cluster).await;
    let space = cluster.space().await;
    let story = life(&space);
    let operator = begin(&space, &story, None).await;
    for step in &story.steps {
        if matches!(step, Step::Apply(_)) {
            operator.freeze();
        }
        act(&space, std::slice::from_ref(step)).await;
        operator.thaw();
    }
    arrives(&space, "being frozen", &expected.state).await;
    assert_eq!(space.lives(Mark::BEGINNING), expected.lives);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_the_past_deletes_nothing_that_is_there_now() {
    let cluster = cluster().await;
    let space = cluster.space().await;
    let proxy = Proxy::start(cluster).await;
    let scaled = service(&json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 4}}));
    let first = begin(&space, &Story { before: vec![scaled.clone()], steps: vec![], end: vec![] }, Some(&proxy)).await;
    first.kill();
    // This is the moment that will be seen again: the autoscaler is there and no longer wanted.
    space.apply(&service(&json!({"replicas": 2}))).await;
    proxy.remember_lists(cluster).await;

    let second = space.operator(program(), None).await;
    space.ready("StoreService", "green-catalog").await;
    space.apply(&scaled).await;
    eventually("another autoscaler", || async { space.lives(Mark::BEGINNING)[AUTOSCALER].created == 2 }).await;
    space.ready("StoreService", "green-catalog").await;
    second.kill();
    let now = space.state().await;
    let uid = autoscaler_uid(&space).await;

    // No watch tells of the present before the past was acted upon.
    proxy.set(Faults { delay: Some(Duration::MAX), ..Faults::default() });
    proxy.serve_stale_lists();
    let third = space.operator(program(), Some(&proxy)).await;
    assert_eq!(proxy.stale_lists_left(), 0, "the past was not looked at");
    has_looked_at_everything(&space, &third).await;
    proxy.heal();
    proxy.cut_watches();
    arrives_somehow(&space, "a view of the past", &now).await;
    rest(&space, END).await;
    let mut writes = space.writes(Mark::BEGINNING);
    writes.retain(|write| write.user == third.user() && write.verb == "delete");
    assert_eq!(writes, [], "what is described anew was acted upon as it was");
    assert_eq!(autoscaler_uid(&space).await, uid, "the autoscaler of today was deleted");
    assert_eq!(space.lives(Mark::BEGINNING)[AUTOSCALER], Lives { created: 2, deleted: 1 });
}

async fn autoscaler_uid(space: &Space<'_>) -> serde_json::Value {
    let autoscaler = space.get("HorizontalPodAutoscaler", "green-catalog").await.expect("the autoscaler is there");
    autoscaler["metadata"]["uid"].clone()
}
