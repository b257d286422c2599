//! What the controllers have to do and are doing.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

/// Objects that wait and reconciliations under way, by controller.
#[derive(Clone, Default)]
pub(crate) struct Activity(Arc<Mutex<BTreeMap<&'static str, Work>>>);

#[derive(Default)]
struct Work {
    waiting: HashSet<String>,
    running: BTreeMap<Uuid, Instant>,
}

/// A controller's work in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// Objects that wait for their reconciliation, each counted once however often it changed.
    pub(super) waiting: usize,
    /// Reconciliations under way.
    pub(super) running: usize,
    /// How long the one that started first has been under way; zero when there is none.
    pub(super) oldest: Duration,
}

/// A reconciliation under way, until this is dropped.
pub(super) struct Running {
    activity: Activity,
    controller: &'static str,
    /// Tells this reconciliation from all others. It sorts by time.
    pub(super) id: Uuid,
}

impl Activity {
    /// Makes a controller known, so that it shows also while it has nothing to do.
    pub(super) fn register(&self, controller: &'static str) {
        self.works().entry(controller).or_default();
    }

    /// Notes that an object waits.
    pub(super) fn waits(&self, controller: &'static str, object: String) {
        self.works().entry(controller).or_default().waiting.insert(object);
    }

    /// Notes that an object waits no longer, as there is nothing to do for it.
    pub(super) fn dropped(&self, controller: &'static str, object: &str) {
        self.works().entry(controller).or_default().waiting.remove(object);
    }

    /// Notes that a reconciliation starts: what waits from now on came later.
    pub(super) fn starts(&self, controller: &'static str, object: &str) -> Running {
        let id = Uuid::now_v7();
        let mut works = self.works();
        let work = works.entry(controller).or_default();
        work.waiting.remove(object);
        work.running.insert(id, Instant::now());
        Running { activity: self.clone(), controller, id }
    }

    /// Every controller's work now.
    pub(super) fn loads(&self) -> Vec<(&'static str, Load)> {
        let load = |work: &Work| Load {
            waiting: work.waiting.len(),
            running: work.running.len(),
            oldest: work.running.values().map(Instant::elapsed).max().unwrap_or_default(),
        };
        self.works().iter().map(|(controller, work)| (*controller, load(work))).collect()
    }

    fn works(&self) -> MutexGuard<'_, BTreeMap<&'static str, Work>> {
        self.0.lock().expect("no code panics while holding this lock")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(work) = self.activity.works().get_mut(self.controller) {
            work.running.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_waits_once_runs_and_may_wait_again_meanwhile() {
        let activity = Activity::default();
        let load = || {
            let (_, load) = activity.loads()[0];
            (load.waiting, load.running)
        };
        activity.register("store");
        assert_eq!(load(), (0, 0));
        activity.waits("store", "shop/green".to_owned());
        activity.waits("store", "shop/green".to_owned());
        assert_eq!(load(), (1, 0));
        let running = activity.starts("store", "shop/green");
        assert_eq!(load(), (0, 1));
        activity.waits("store", "shop/green".to_owned());
        assert_eq!(load(), (1, 1));
        drop(running);
        activity.dropped("store", "shop/green");
        assert_eq!(load(), (0, 0));
    }

    #[test]
    fn the_oldest_reconciliation_is_the_one_that_started_first() {
        let activity = Activity::default();
        let first = activity.starts("store", "shop/green");
        std::thread::sleep(Duration::from_millis(2));
        let second = activity.starts("store", "shop/blue");
        let oldest = |activity: &Activity| activity.loads()[0].1.oldest;
        assert!(first.id < second.id && oldest(&activity) >= Duration::from_millis(2));
        drop((first, second));
        assert_eq!(oldest(&activity), Duration::ZERO);
    }
}
