//! The operator is killed at every one of its writes, before it hears the answer and after: it always ends where it would
//! have ended, and makes and deletes every object as often as it would have.

use std::time::Instant;

use kubekit::{Cluster, Crash, DEADLINE, Lives, Mark, Proxy, Space, wait_until};
use serde_json::json;

use crate::{
    setup::{OPERATOR, cluster},
    story::{END, Ending, Step, Story, act, arrives, begin, has_looked_at_everything, service, undisturbed},
};

const SERVICE: Step = Step::Ready("StoreService", "green-catalog");

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_service_survives_a_crash_at_every_write() {
    every_crash("create", |_| Story {
        before: vec![],
        steps: vec![Step::Apply(service(&json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 4}})))],
        end: vec![SERVICE],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_the_image_of_a_service_survives_a_crash_at_every_write() {
    every_crash("image", |_| Story {
        before: vec![service(&json!({}))],
        steps: vec![Step::Apply(service(&json!({"image": "registry.example/shop:2"})))],
        end: vec![SERVICE],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_a_service_survives_a_crash_at_every_write() {
    every_crash("scale", |_| Story {
        before: vec![service(&json!({"replicas": 1}))],
        steps: vec![Step::Apply(service(&json!({"replicas": 3})))],
        end: vec![SERVICE],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handing_the_number_of_pods_to_the_autoscaler_survives_a_crash_at_every_write() {
    let ending = every_crash("autoscale", |_| Story {
        before: vec![service(&json!({"replicas": 3}))],
        steps: vec![Step::Apply(service(&json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 5}})))],
        end: vec![SERVICE],
    })
    .await;
    assert_eq!(ending.state.get("Deployment/green-catalog").unwrap()["spec"]["replicas"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_the_autoscaler_away_survives_a_crash_at_every_write() {
    let ending = every_crash("fix", |_| Story {
        before: vec![service(&json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 5}}))],
        steps: vec![Step::Apply(service(&json!({"replicas": 1})))],
        end: vec![SERVICE],
    })
    .await;
    let gone = ["horizontalpodautoscalers/green-catalog", "poddisruptionbudgets/green-catalog"];
    assert!(gone.iter().all(|object| ending.lives[*object] == Lives { created: 1, deleted: 1 }), "{:?}", ending.lives);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_service_leaves_nothing_at_whatever_write_the_operator_crashes() {
    let ending = every_crash("delete", |_| Story {
        before: vec![service(&json!({"replicas": 2}))],
        steps: vec![Step::Delete("StoreService", "green-catalog")],
        end: vec![],
    })
    .await;
    assert!(ending.state.is_empty(), "{:?}", ending.state);
}

/// Tells the story without a fault, then with a crash at the first write, at the second …, until a run ends before its
/// crash comes. Every run must end like the first.
pub(crate) async fn every_crash(name: &str, story: impl Fn(&Space<'_>) -> Story) -> Ending {
    let cluster = cluster().await;
    let expected = undisturbed(cluster, &story).await;
    for kind in [Crash::Unanswered, Crash::Answered] {
        for k in 1.. {
            let begun = Instant::now();
            let crashed = disturbed(cluster, &story, kind(k), &expected).await;
            println!("{name}: {:?} {:.1} s", kind(k), begun.elapsed().as_secs_f64());
            if !crashed {
                break;
            }
        }
    }
    expected
}

/// Whether the crash came before the end.
async fn disturbed(cluster: &Cluster, story: impl Fn(&Space<'_>) -> Story, crash: Crash, expected: &Ending) -> bool {
    let space = cluster.space().await;
    let proxy = Proxy::start(cluster).await;
    let story = story(&space);
    let what = format!("{crash:?}");
    let first = begin(&space, &story, Some(&proxy)).await;
    proxy.crash(crash, &first);
    act(&space, &story.steps).await;
    let crashed = crash_or_end(&space, &proxy, expected).await;
    let last = if crashed {
        first.kill();
        let second = space.operator(OPERATOR, Some(&proxy)).await;
        arrives(&space, &what, &expected.state).await;
        second
    } else {
        first
    };
    has_looked_at_everything(&space, &last).await;
    arrives(&space, &what, &expected.state).await;
    assert_eq!(space.lives(Mark::BEGINNING), expected.lives, "{what}");
    crashed
}

/// Whether the crash comes. Once all is as expected, a while without a write says that it does not.
async fn crash_or_end(space: &Space<'_>, proxy: &Proxy, expected: &Ending) -> bool {
    let mut since = Instant::now();
    let mut writes = 0;
    wait_until(DEADLINE, "a crash or the end", || {
        let crashed = proxy.has_crashed();
        if proxy.writes() != writes {
            writes = proxy.writes();
            since = Instant::now();
        }
        let rested = since.elapsed() >= END;
        async move {
            if crashed {
                return Some(true);
            }
            space.collect_garbage().await;
            (rested && space.state().await == expected.state).then_some(false)
        }
    })
    .await
}
