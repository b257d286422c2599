//! What takes long to set up is set up once: a change and its opposite are made in turn, and at every turn the operator is
//! killed one write later than at the turn before.

use std::{collections::BTreeMap, time::Instant};

use kubekit::{Crash, DEADLINE, Lives, Mark, Operator, Proxy, Space, State};

use crate::{
    crash::{Scene, comes_to_an_end, has_crashed},
    setup::{cluster, program},
    story::{Step, act, begin, has_looked_at_everything, last_state, something_new},
};

/// Upgrades that are compared: those of the two ways before this one, and its own.
const RECENT: usize = 3;

/// A change, and what tells that it is made.
pub(crate) struct Way {
    pub(crate) change: Step,
    pub(crate) end: Vec<Step>,
}

/// How a way ended: what there was, on the database server too, and what was made and deleted on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) state: State,
    pub(crate) facts: String,
    pub(crate) lives: BTreeMap<String, Lives>,
}

/// A world in which the same two changes are made again and again.
struct Journey<'a> {
    name: &'a str,
    space: Space<'a>,
    proxy: Proxy,
    scene: Scene,
    operator: Operator,
}

/// Goes there and back with a crash at the first write of each way, at the second …, until neither has so many.
pub(crate) async fn every_crash_there_and_back(
    name: &str,
    kinds: &[fn(u32) -> Crash],
    scene: impl AsyncFn(&Space<'_>) -> Scene,
    ways: impl Fn(&Scene) -> [Way; 2],
) -> [Arrival; 2] {
    let cluster = cluster().await;
    let (space, proxy) = (cluster.space().await, Proxy::start(cluster).await);
    let scene = scene(&space).await;
    let operator = begin(&space, &scene.story, Some(&proxy)).await;
    let ways = ways(&scene);
    let mut journey = Journey { name, space, proxy, scene, operator };
    // The first time may differ from all others: there was no opposite before.
    for way in &ways {
        journey.undisturbed(way).await;
    }
    let expected = [journey.undisturbed(&ways[0]).await, journey.undisturbed(&ways[1]).await];
    let (begun, mut crashes) = (Instant::now(), 0);
    for kind in kinds {
        let mut left = [true; 2];
        let mut k = 1;
        while left != [false; 2] {
            for (way, (expected, left)) in ways.iter().zip(expected.iter().zip(&mut left)) {
                *left = journey.disturbed(way, kind(k), expected).await;
                crashes += u32::from(*left);
            }
            k += 1;
        }
    }
    println!("{name}: killed {crashes} times in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(crashes > 0, "nobody was killed");
    expected
}

impl Journey<'_> {
    async fn undisturbed(&self, way: &Way) -> Arrival {
        let mark = self.space.cluster().audit().mark();
        act(&self.space, std::slice::from_ref(&way.change)).await;
        act(&self.space, &way.end).await;
        last_state(&self.space).await;
        self.arrival(mark).await
    }

    /// Whether the crash came before the end.
    async fn disturbed(&mut self, way: &Way, crash: Crash, expected: &Arrival) -> bool {
        let mark = self.space.cluster().audit().mark();
        self.proxy.crash(crash, &self.operator);
        act(&self.space, std::slice::from_ref(&way.change)).await;
        let crashed = tokio::select! {
            () = has_crashed(&self.proxy) => true,
            () = comes_to_an_end(&self.space, &self.proxy, |state| settled(state) == expected.state) => false,
        };
        if crashed {
            self.operator.kill();
            self.operator = self.space.operator(program(), Some(&self.proxy)).await;
            has_looked_at_everything(&self.space, &self.operator).await;
        } else {
            self.proxy.spare();
        }
        self.arrives(crash, mark, expected).await;
        crashed
    }

    async fn arrives(&self, crash: Crash, mark: Mark, expected: &Arrival) {
        let begun = Instant::now();
        loop {
            let seen = self.space.count_writes();
            let state = settled(&self.space.collect_garbage().await);
            // Only now: to look at the database server is work for it.
            let near = state == expected.state || begun.elapsed() >= DEADLINE;
            let found = if near { self.arrival(mark).await } else { Arrival { state, ..expected.clone() } };
            if found == *expected {
                return;
            }
            let differences = found.state.differences(&expected.state).join("\n");
            assert!(
                begun.elapsed() < DEADLINE,
                "{} after {crash:?} in {}:\n{differences}\n{} expected, {} found\n{:?} expected, {:?} found",
                self.name,
                self.space.name(),
                expected.facts,
                found.facts,
                expected.lives,
                found.lives,
            );
            something_new(&self.space, seen).await;
        }
    }

    async fn arrival(&self, mark: Mark) -> Arrival {
        let state = settled(&self.space.collect_garbage().await);
        Arrival { state, facts: self.scene.facts(&self.space).await, lives: self.space.lives(mark) }
    }
}

/// The state without what tells how often one has been here.
fn settled(state: &State) -> State {
    state.without(&["generation", "observedGeneration"]).with_first_of("history", RECENT)
}
