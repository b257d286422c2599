//! What takes long to set up is set up once: a change and its opposite, or several changes of which the last leads back to
//! the first, are made in turn, and at every turn the operator is killed one write later than at the turn before, or
//! something else gets between it and the API server.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kubekit::{Crash, DEADLINE, Faults, Lives, Mark, Operator, Proxy, Space, State, Write};

use crate::{
    crash::{Scene, comes_to_an_end, has_crashed},
    setup::{cluster, program},
    story::{Step, act, begin, has_looked_at_everything, last_state, rest, something_new},
};

/// Upgrades that are compared: those of the two ways before this one, and its own.
const RECENT: usize = 3;
/// So long without a write, and those of the way before are over.
const PAUSE: Duration = Duration::from_millis(300);

/// A change, and what tells that it is made.
pub(crate) struct Way {
    pub(crate) change: Step,
    pub(crate) end: Vec<Step>,
}

/// How a way ended: what there was, outside of the cluster too, what was made and deleted on it, and how often each Secret
/// was written: a password that is written twice is another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) state: State,
    pub(crate) facts: String,
    pub(crate) lives: BTreeMap<String, Lives>,
    pub(crate) secrets: BTreeMap<String, usize>,
}

/// A world in which the same changes are made again and again.
struct Journey<'a> {
    name: &'a str,
    space: Space<'a>,
    proxy: Proxy,
    scene: Scene,
    operator: Operator,
}

/// Goes there and back with a crash at the first write of each way, at the second …, until none has so many.
pub(crate) async fn every_crash_there_and_back<const N: usize>(
    name: &str,
    kinds: &[fn(u32) -> Crash],
    scene: impl AsyncFn(&Space<'_>) -> Scene,
    ways: impl Fn(&Scene) -> [Way; N],
) -> [Arrival; N] {
    let (mut journey, ways, expected) = Journey::begin(name, scene, ways).await;
    let (begun, mut crashes) = (Instant::now(), 0);
    for kind in kinds {
        let mut left = [true; N];
        let mut k = 1;
        while left != [false; N] {
            for (way, (expected, left)) in ways.iter().zip(expected.iter().zip(&mut left)) {
                if *left {
                    *left = journey.disturbed(way, kind(k), expected).await;
                    crashes += u32::from(*left);
                } else {
                    journey.passes(way, expected).await;
                }
            }
            k += 1;
        }
    }
    println!("{name}: killed {crashes} times in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(crashes > 0, "nobody was killed");
    expected
}

/// What gets between the operator and the API server while a way is gone.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Faults that stay until the end of the way.
    Lasting(Faults),
    /// No watch can be resumed after the change.
    Expired,
    /// The operator stands still while the change is made.
    Frozen,
}

/// Goes there and back under each of these.
pub(crate) async fn every_trouble_there_and_back<const N: usize>(
    name: &str,
    troubles: &[Trouble],
    scene: impl AsyncFn(&Space<'_>) -> Scene,
    ways: impl Fn(&Scene) -> [Way; N],
) -> [Arrival; N] {
    let (journey, ways, expected) = Journey::begin(name, scene, ways).await;
    for trouble in troubles {
        let begun = Instant::now();
        for (way, expected) in ways.iter().zip(&expected) {
            journey.troubled(way, trouble, expected).await;
        }
        println!("{name}, {trouble:?}: {:.1} s", begun.elapsed().as_secs_f64());
    }
    expected
}

impl<'a> Journey<'a> {
    /// The world, the ways, and how each ends when nothing gets in its way.
    async fn begin<const N: usize>(
        name: &'a str,
        scene: impl AsyncFn(&Space<'_>) -> Scene,
        ways: impl Fn(&Scene) -> [Way; N],
    ) -> (Self, [Way; N], [Arrival; N]) {
        let cluster = cluster().await;
        let (space, proxy) = (cluster.space().await, Proxy::start(cluster).await);
        let scene = scene(&space).await;
        let operator = begin(&space, &scene.story, Some(&proxy)).await;
        let ways = ways(&scene);
        let journey = Self { name, space, proxy, scene, operator };
        // The first time may differ from all others: there was no opposite before.
        for way in &ways {
            journey.undisturbed(way).await;
        }
        let mut expected = Vec::new();
        for way in &ways {
            expected.push(journey.undisturbed(way).await);
        }
        (journey, ways, expected.try_into().unwrap())
    }

    async fn undisturbed(&self, way: &Way) -> Arrival {
        let mark = self.space.cluster().audit().mark();
        act(&self.space, std::slice::from_ref(&way.change)).await;
        act(&self.space, &way.end).await;
        last_state(&self.space).await;
        self.arrival(mark).await
    }

    /// Whether the crash came before the end.
    async fn disturbed(&mut self, way: &Way, crash: Crash, expected: &Arrival) -> bool {
        rest(&self.space, PAUSE).await;
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
        self.arrives(&format!("{crash:?}"), true, mark, expected).await;
        crashed
    }

    async fn troubled(&self, way: &Way, trouble: &Trouble, expected: &Arrival) {
        rest(&self.space, PAUSE).await;
        let mark = self.space.cluster().audit().mark();
        let change = std::slice::from_ref(&way.change);
        match trouble {
            Trouble::Lasting(faults) => {
                self.proxy.set(*faults);
                self.proxy.cut_watches();
                act(&self.space, change).await;
            }
            Trouble::Expired => {
                act(&self.space, change).await;
                self.proxy.expire_watches();
            }
            Trouble::Frozen => {
                self.operator.freeze();
                act(&self.space, change).await;
                self.operator.thaw();
            }
        }
        // Who hears later that an owner went than what went with it makes that anew, and it goes too.
        let sees_all = |faults: &Faults| faults.watch_life.is_none() && faults.delay.is_none();
        let exactly = match trouble {
            Trouble::Lasting(faults) => sees_all(faults),
            Trouble::Expired => false,
            Trouble::Frozen => true,
        };
        self.arrives(&format!("{trouble:?}"), exactly, mark, expected).await;
        self.proxy.heal();
    }

    /// Goes a way that has no further write to crash at.
    async fn passes(&self, way: &Way, expected: &Arrival) {
        rest(&self.space, PAUSE).await;
        let mark = self.space.cluster().audit().mark();
        act(&self.space, std::slice::from_ref(&way.change)).await;
        self.arrives("no crash", true, mark, expected).await;
    }

    /// Waits until all is as expected; where not `exactly`, however often something was made and deleted on the way.
    async fn arrives(&self, what: &str, exactly: bool, mark: Mark, expected: &Arrival) {
        let begun = Instant::now();
        loop {
            let seen = self.space.count_writes();
            let state = settled(&self.space.collect_garbage().await);
            // Only now: to look at the database server is work for it.
            let near = state == expected.state || begun.elapsed() >= DEADLINE;
            let mut found = if near { self.arrival(mark).await } else { Arrival { state, ..expected.clone() } };
            if !exactly {
                (found.lives, found.secrets) = (expected.lives.clone(), expected.secrets.clone());
            }
            if found == *expected {
                return;
            }
            let differences = found.state.differences(&expected.state).join("\n");
            assert!(
                begun.elapsed() < DEADLINE,
                "{} after {what} in {}:\n{differences}\n{} expected, {} found\n{:?} expected, {:?} found",
                self.name,
                self.space.name(),
                expected.facts,
                found.facts,
                (&expected.lives, &expected.secrets),
                (&found.lives, &found.secrets),
            );
            something_new(&self.space, seen).await;
        }
    }

    async fn arrival(&self, mark: Mark) -> Arrival {
        let state = settled(&self.space.collect_garbage().await);
        let mut secrets = BTreeMap::new();
        let written = |write: &Write| write.resource == "secrets" && write.code < 300 && !write.deletes();
        for write in self.space.writes(mark).into_iter().filter(written) {
            *secrets.entry(write.name).or_default() += 1;
        }
        Arrival { state, facts: self.scene.facts(&self.space).await, lives: self.space.lives(mark), secrets }
    }
}

/// The state without what tells how often one has been here.
fn settled(state: &State) -> State {
    state.without(&["generation", "observedGeneration"]).with_first_of("history", RECENT)
}
