//! Something a user does, told once without a fault and then with faults: it must end alike.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kubekit::{Cluster, DEADLINE, Lives, Mark, Operator, Proxy, Space, State, eventually};
use serde_json::{Value, json};

use crate::setup::program;

/// So long without a write is the end: nothing the operator waits for takes longer.
pub(crate) const END: Duration = Duration::from_millis(1500);
/// So long after an object is ready the event that says so has been written.
const PAUSE: Duration = Duration::from_millis(300);

/// Between two looks at a state.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// So long where nobody writes.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a user does, and where it starts from.
pub(crate) struct Story {
    /// What is there, and settled.
    pub(crate) before: Vec<Value>,
    /// What is done then.
    pub(crate) steps: Vec<Step>,
    /// What tells that it is over.
    pub(crate) end: Vec<Step>,
}

/// One thing that a user does.
pub(crate) enum Step {
    /// Write an object.
    Apply(Value),
    /// Delete an object.
    Delete(&'static str, &'static str),
    /// Wait until an object is ready.
    Ready(&'static str, &'static str),
    /// Wait until a condition of an object holds.
    Says(&'static str, &'static str, &'static str),
    /// Wait until it does not.
    SaysNo(&'static str, &'static str, &'static str),
    /// Wait until no operator has written for so long.
    Rest(Duration),
}

/// How a story ended.
pub(crate) struct Ending {
    pub(crate) state: State,
    pub(crate) lives: BTreeMap<String, Lives>,
    /// Writes of the operator, from the first step on.
    pub(crate) writes: usize,
}

/// A service with a few things that vary.
pub(crate) fn service(with: &Value) -> Value {
    named_service("green-catalog", with)
}

/// The same under another name.
pub(crate) fn named_service(name: &str, with: &Value) -> Value {
    let mut spec = json!({
        "store": "green", "image": "registry.example/shop:1", "args": ["catalog"],
        "ports": [{"name": "http", "port": 8080}, {"name": "ops", "port": 9100}],
        "env": [{"name": "LOG_LEVEL", "value": "info"}],
    });
    spec.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
        "metadata": {"name": name}, "spec": spec,
    })
}

/// How the story ends when nothing gets in its way.
pub(crate) async fn undisturbed(cluster: &Cluster, story: impl Fn(&Space<'_>) -> Story) -> Ending {
    let space = cluster.space().await;
    let story = story(&space);
    tell(&space, &story).await
}

/// Tells the story with an operator that nothing gets in the way of.
pub(crate) async fn tell(space: &Space<'_>, story: &Story) -> Ending {
    let _operator = begin(space, story, None).await;
    let before = space.writes(Mark::BEGINNING).len();
    act(space, &story.steps).await;
    act(space, &story.end).await;
    let state = last_state(space).await;
    let writes = space.writes(Mark::BEGINNING).len() - before;
    Ending { state, lives: space.lives(Mark::BEGINNING), writes }
}

/// What there is when nobody writes any more and no garbage is left.
pub(crate) async fn last_state(space: &Space<'_>) -> State {
    let mut before = None;
    loop {
        rest(space, END).await;
        let state = space.collect_garbage().await;
        if before.as_ref() == Some(&state) {
            return state;
        }
        before = Some(state);
    }
}

/// An operator, and what the story starts from. An object may stand there several times, as it is one after the other.
pub(crate) async fn begin(space: &Space<'_>, story: &Story, proxy: Option<&Proxy>) -> Operator {
    let operator = space.operator(program(), proxy).await;
    for object in &story.before {
        space.apply(object).await;
        let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        match kind {
            // Its broker may not run here, and then it is never ready.
            "Store" if object["spec"]["suspend"] == true => space.until_it_says(kind, name, "Suspended", true).await,
            "Store" => space.until_it_says(kind, name, "Upgraded", true).await,
            _ if kind.starts_with("Store") => space.ready(kind, name).await,
            _ => {}
        }
    }
    rest(space, PAUSE).await;
    operator
}

/// Does what the user does.
pub(crate) async fn act(space: &Space<'_>, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Apply(object) => space.apply(object).await,
            Step::Delete(kind, name) => space.delete(kind, name).await,
            Step::Ready(kind, name) => space.ready(kind, name).await,
            Step::Says(kind, name, condition) => space.until_it_says(kind, name, condition, true).await,
            Step::SaysNo(kind, name, condition) => space.until_it_says(kind, name, condition, false).await,
            Step::Rest(pause) => rest(space, *pause).await,
        }
    }
}

/// Waits until no operator has written for a while.
pub(crate) async fn rest(space: &Space<'_>, pause: Duration) {
    let begun = Instant::now();
    let (mark, mut since, mut writes) = (space.cluster().audit().mark(), begun, 0);
    while since.elapsed() < pause {
        assert!(begun.elapsed() < DEADLINE, "operators write for ever: {:?}", space.writes(Mark::BEGINNING).last());
        tokio::time::sleep(LOOK).await;
        let now = space.writes(mark).len();
        if now != writes {
            (since, writes) = (Instant::now(), now);
        }
    }
}

/// Waits until the state is the expected one; says what differs if it never is.
pub(crate) async fn arrives(space: &Space<'_>, what: &str, expected: &State) {
    arrives_where(space, what, |state| state.differences(expected)).await;
}

/// The same, where changes may have been left out or made twice on the way.
pub(crate) async fn arrives_somehow(space: &Space<'_>, what: &str, expected: &State) {
    let expected = expected.without_generations();
    arrives_where(space, what, |state| state.without_generations().differences(&expected)).await;
}

async fn arrives_where(space: &Space<'_>, what: &str, differences: impl Fn(&State) -> Vec<String>) {
    let begun = Instant::now();
    loop {
        let seen = space.count_writes();
        let differences = differences(&space.collect_garbage().await);
        if differences.is_empty() {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "after {what} in {}:\n{}", space.name(), differences.join("\n"));
        something_new(space, seen).await;
    }
}

/// Waits until somebody has written since that many writes, and pauses, but not for long.
pub(crate) async fn something_new(space: &Space<'_>, seen: usize) {
    let begun = Instant::now();
    let mut last = seen;
    loop {
        tokio::time::sleep(2 * LOOK).await;
        let now = space.count_writes();
        if (now == last && now != seen) || begun.elapsed() > LOOK_AGAIN {
            return;
        }
        last = now;
    }
}

/// Waits until a new operator has reconciled everything there is at least once.
pub(crate) async fn has_looked_at_everything(space: &Space<'_>, operator: &Operator) {
    let ours = ["Store/", "StoreService/", "StoreDatabase/", "StoreTopic/"];
    let state = space.state().await;
    let count = state.names().filter(|name| ours.iter().any(|kind| name.starts_with(kind))).count();
    let count = f64::from(u32::try_from(count).unwrap());
    eventually("a look at everything", || async {
        operator.figure("greencommerce_operator_reconciliations_total", "").await >= count
    })
    .await;
}
