//! What somebody has seen who looked for lies, and whether it is enough to say that there was none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{SAMPLE, truth::Scene};
use crate::diagnostics::condition;

/// One look in so many that were to be is enough: on a machine that has much to do, such as while many tests begin at once, a
/// look takes longer than a sample.
const OF: u32 = 50;
/// What a store and its parts say when all is well.
const SAYINGS: [&str; 9] = [
    "Ready",
    "Upgraded",
    "DatabaseReady",
    "EventsReady",
    "CacheReady",
    "ServicesReady",
    "StoreService",
    "StoreDatabase",
    "StoreTopic",
];

/// See the module.
#[derive(Debug, Default)]
pub struct Looked {
    pub(super) lies: BTreeSet<String>,
    looks: u32,
    span: Duration,
    /// How often something was said, and looked into.
    said: BTreeMap<&'static str, u32>,
    /// What `Ready` was, of the generation that was present, one after the other.
    ready: Vec<bool>,
}

impl Looked {
    pub(super) fn note(&mut self, scene: &Scene) {
        self.looks += 1;
        for saying in scene.said() {
            *self.said.entry(saying).or_default() += 1;
        }
        if let Some(ready) = readiness(&scene.store).filter(|ready| self.ready.last() != Some(ready)) {
            self.ready.push(ready);
        }
    }

    /// What `Ready` was when it was last said.
    pub(super) fn last_ready(&self) -> Option<bool> {
        self.ready.last().copied()
    }

    pub(super) fn for_so_long(self, span: Duration) -> Self {
        Self { span, ..self }
    }

    /// Fails if a lie was told, and if none could have been seen: there were too few looks, something was never said, or
    /// `Ready` was not first this, then that, among what else it was.
    pub fn expect_truth(&self, ready: &[bool]) -> Result<()> {
        let lies: Vec<&str> = self.lies.iter().map(String::as_str).collect();
        ensure!(lies.is_empty(), "{self}:\n{}", lies.join("\n"));
        let due = self.span.as_millis() / SAMPLE.as_millis();
        ensure!(u128::from(self.looks * OF) >= due, "{self}, instead of {due} looks");
        for saying in SAYINGS {
            ensure!(self.said.contains_key(saying), "{self}: {saying} was never said");
        }
        let mut seen = self.ready.iter();
        ensure!(ready.iter().all(|wanted| seen.any(|seen| seen == wanted)), "{self}, and not {ready:?}");
        Ok(())
    }
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lies, looks, span, said, ready } = self;
        write!(f, "{looks} looks in {span:.1?} saw {said:?}, Ready {ready:?} and {} lies", lies.len())
    }
}

/// Whether a store says that it is ready, where it says something of its present generation.
fn readiness(store: &Value) -> Option<bool> {
    let ready = condition(store, "Ready")?;
    (ready["observedGeneration"] == store["metadata"]["generation"]).then(|| ready["status"] == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn looked(looks: u32, ready: &[bool]) -> Looked {
        let said = SAYINGS.map(|saying| (saying, 1)).into();
        Looked { lies: BTreeSet::new(), looks, span: Duration::from_secs(30), said, ready: ready.to_vec() }
    }

    #[test]
    fn who_looked_seldom_or_saw_nothing_change_has_not_seen_the_truth() {
        let upgrade = [true, false, true];
        looked(30, &upgrade).expect_truth(&upgrade).unwrap();
        looked(6, &[false, true, false, true, false]).expect_truth(&upgrade).unwrap();
        assert!(looked(5, &upgrade).expect_truth(&upgrade).is_err(), "too few looks");
        assert!(looked(30, &[true]).expect_truth(&upgrade).is_err(), "no change");
        assert!(looked(30, &[false, true, false]).expect_truth(&upgrade).is_err(), "not ready in the end");
        let mut silent = looked(30, &upgrade);
        silent.said.remove("StoreTopic");
        assert!(silent.expect_truth(&upgrade).is_err(), "no topic said anything");
        let liar = Looked { lies: ["Ready while it is not".to_owned()].into(), ..looked(30, &upgrade) };
        assert!(liar.expect_truth(&upgrade).is_err());
    }

    #[test]
    fn readiness_is_noted_when_it_changes_and_only_of_the_present_generation() {
        let mut looked = Looked::default();
        for (generation, status) in [(1, "False"), (2, "True"), (1, "True"), (1, "True"), (1, "False"), (1, "Unknown")]
        {
            let ready = json!({"type": "Ready", "status": status, "observedGeneration": 1});
            let store = json!({"metadata": {"generation": generation}, "status": {"conditions": [ready]}});
            looked.note(&Scene { store, ..Scene::default() });
        }
        looked.note(&Scene::default());
        assert_eq!((looked.looks, looked.ready), (7, vec![false, true, false]));
    }
}
