//! The operator is killed at every one of its writes, before it hears the answer and after: it always ends where it would
//! have ended, and makes and deletes every object as often as it would have.

use std::{future::ready, time::Instant};

use futures::{StreamExt as _, stream};
use kubekit::{Cluster, Crash, Lives, Mark, Proxy, Space, State, eventually};
use serde_json::json;

use crate::{
    servers::Lent,
    setup::{cluster, program},
    story::{self, END, Ending, LOOK, Step, Story, act, arrives, begin, has_looked_at_everything, service, tell},
    topic::Topic,
};

/// As many runs of one story go on at the same time: most of a run is waiting.
const LANES: usize = 3;

/// Killed after a write and before one.
pub(crate) const BOTH: &[fn(u32) -> Crash] = &[Crash::Unanswered, Crash::Undone];

const SERVICE: Step = Step::Ready("StoreService", "green-catalog");

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_service_survives_a_crash_at_every_write() {
    let ending = every_crash("create", |_| Story {
        before: vec![],
        steps: vec![Step::Apply(service(&json!({
            "autoscaling": {"minReplicas": 2, "maxReplicas": 4}, "exposure": {"ingress": {}},
        })))],
        end: vec![SERVICE],
    })
    .await;
    assert!(ending.state.get("Ingress/green-catalog").is_some(), "{:?}", ending.state);
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

/// The operator has nothing to do for it, so there is nothing to crash at.
#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_service_leaves_nothing() {
    let ending = story::undisturbed(cluster().await, |_| Story {
        before: vec![service(&json!({"replicas": 2, "exposure": {"ingress": {}}}))],
        steps: vec![Step::Delete("StoreService", "green-catalog")],
        end: vec![],
    })
    .await;
    assert!(ending.state.is_empty(), "{:?}", ending.state);
    assert!(ending.lives.values().all(|lives| lives.created <= 1), "{:?}", ending.lives);
}

/// A story, and what it has to itself outside of the cluster where it needs that: a database server, a topic. These must
/// end alike too.
pub(crate) struct Scene {
    pub(crate) story: Story,
    pub(crate) server: Option<Lent>,
    pub(crate) topic: Option<Topic>,
}

impl Scene {
    /// What is outside of the cluster.
    pub(crate) async fn facts(&self, space: &Space<'_>) -> String {
        let mut facts = String::new();
        if let Some(server) = &self.server {
            facts.push_str(&server.facts(space).await);
        }
        if let Some(topic) = &self.topic {
            facts.push_str(&topic.fact().await);
        }
        facts
    }
}

/// Tells the story with both kinds of crash at every write.
pub(crate) async fn every_crash(name: &str, story: impl Fn(&Space<'_>) -> Story) -> Ending {
    let scene = async |space: &Space<'_>| Scene { story: story(space), server: None, topic: None };
    every_crash_of(name, BOTH, scene).await
}

/// Tells the story without a fault, then with a crash at the first write, at the second …, until a run ends before its
/// crash comes. Every run must end like the first.
pub(crate) async fn every_crash_of(
    name: &str,
    kinds: &[fn(u32) -> Crash],
    scene: impl AsyncFn(&Space<'_>) -> Scene,
) -> Ending {
    let cluster = cluster().await;
    let expected = undisturbed(cluster, &scene).await;
    let (begun, mut crashes) = (Instant::now(), 0);
    for kind in kinds {
        let run = |k| disturbed(cluster, &scene, kind(k), &expected);
        crashes += until_none(stream::iter(1..).map(run).buffered(LANES)).await;
    }
    println!("{name} ({} writes): killed {crashes} times in {:.1} s", expected.0.writes, begun.elapsed().as_secs_f64());
    assert!(crashes > 0, "nobody was killed");
    expected.0
}

/// How many runs had a crash before one had none.
async fn until_none(runs: impl futures::Stream<Item = bool>) -> usize {
    runs.take_while(|crashed| ready(*crashed)).count().await
}

async fn undisturbed(cluster: &Cluster, scene: impl AsyncFn(&Space<'_>) -> Scene) -> (Ending, String) {
    let space = cluster.space().await;
    let scene = scene(&space).await;
    let ending = tell(&space, &scene.story).await;
    let facts = scene.facts(&space).await;
    (ending, facts)
}

/// Whether the crash came before the end.
async fn disturbed(
    cluster: &Cluster,
    scene: impl AsyncFn(&Space<'_>) -> Scene,
    crash: Crash,
    (expected, facts): &(Ending, String),
) -> bool {
    let space = cluster.space().await;
    let proxy = Proxy::start(cluster).await;
    let scene = scene(&space).await;
    let what = format!("{crash:?}");
    let first = begin(&space, &scene.story, Some(&proxy)).await;
    proxy.crash(crash, &first);
    act(&space, &scene.story.steps).await;
    let crashed = crash_or_end(&space, &proxy, expected).await;
    let last = if crashed {
        first.kill();
        let second = space.operator(program(), Some(&proxy)).await;
        arrives(&space, &what, &expected.state).await;
        second
    } else {
        first
    };
    has_looked_at_everything(&space, &last).await;
    arrives(&space, &what, &expected.state).await;
    assert_eq!(space.lives(Mark::BEGINNING), expected.lives, "{what}");
    assert_eq!(&scene.facts(&space).await, facts, "{what}");
    crashed
}

/// Whether the crash comes. Once all is as expected, a while without a write says that it does not.
async fn crash_or_end(space: &Space<'_>, proxy: &Proxy, expected: &Ending) -> bool {
    tokio::select! {
        () = has_crashed(proxy) => true,
        () = comes_to_an_end(space, proxy, |state| *state == expected.state) => false,
    }
}

/// Waits for the crash.
pub(crate) async fn has_crashed(proxy: &Proxy) {
    eventually("a crash or the end", || ready(proxy.has_crashed())).await;
}

/// Waits until nobody has written for a while and all is as expected.
pub(crate) async fn comes_to_an_end(space: &Space<'_>, proxy: &Proxy, is_expected: impl Fn(&State) -> bool) {
    loop {
        let (writes, begun) = (proxy.writes(), Instant::now());
        // What is deleted goes on only when the garbage is collected.
        space.collect_garbage().await;
        while proxy.writes() == writes && begun.elapsed() < END {
            tokio::time::sleep(LOOK).await;
        }
        if proxy.writes() == writes && is_expected(&space.collect_garbage().await) && proxy.writes() == writes {
            return;
        }
    }
}
