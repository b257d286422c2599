//! When to try again what failed: each object by itself, never in step with others.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);

/// From the start of one attempt to that of the next, where nothing tells that the cause is gone.
const STEADY: Duration = Duration::from_millis(1500);
/// The same for what has been failing for longer than [`FRESH`].
const STEADY_LATER: Duration = Duration::from_secs(10);
const FRESH: Duration = Duration::from_mins(10);

/// Between two wordings of the same failure.
const REWORD: Duration = Duration::from_secs(10);

/// A conflict with somebody else's write is over sooner than this.
const CONFLICT: Duration = Duration::from_secs(10);

/// How long from the start of one look to that of the next at what has been failing for so long.
pub(crate) fn steady_pace(failing: Duration) -> Duration {
    if failing < FRESH { STEADY } else { STEADY_LATER }
}

/// A reconciliation that failed.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Of the object that was reconciled: a changed spec is a new beginning.
    pub(crate) generation: Option<i64>,
    pub(crate) started: Instant,
    /// What it wrote before it failed.
    pub(crate) written: BTreeSet<String>,
}

/// Remembers failures in a row, by object.
pub(crate) struct Backoff<K> {
    failures: Mutex<HashMap<K, Failures>>,
    noise: RandomState,
}

struct Failures {
    generation: Option<i64>,
    since: Instant,
    count: u32,
    /// When the next try is due.
    until: Instant,
    /// What was written since the last success. Each counts once: what is written over and over gets nobody on.
    written: BTreeSet<String>,
    /// When it was last put into words.
    worded: Instant,
}

impl<K: Eq + Hash> Backoff<K> {
    pub(crate) fn new() -> Self {
        Self { failures: Mutex::new(HashMap::new()), noise: RandomState::new() }
    }

    /// Notes a failure, and says how long to wait before the next try: longer each time, unless it got on.
    pub(crate) fn failed(&self, key: K, attempt: Attempt) -> Duration {
        self.failed_at(key, attempt, Instant::now())
    }

    /// Notes a failure whose cause no watch reaches, and says how long to wait before the next look.
    pub(crate) fn steady(&self, key: K, attempt: &Attempt) -> Duration {
        self.steady_at(key, attempt, Instant::now())
    }

    /// Whether a failure that has been told may be told in other words. Each telling wakes the object, so words that vary
    /// from try to try would keep it awake.
    pub(crate) fn may_reword(&self, key: &K) -> bool {
        self.may_reword_at(key, Instant::now())
    }

    /// Whether it has been failing for longer than a conflict with somebody else's write takes.
    pub(crate) fn lasts(&self, key: &K) -> bool {
        self.lasts_at(key, Instant::now())
    }

    /// Notes a success, or that the object is gone.
    pub(crate) fn succeeded(&self, key: &K) {
        self.lock().remove(key);
    }

    /// A failure before the next try was due does not lengthen the wait: a change woke the object, often our own report
    /// of the failure before, and that says nothing about how long the cause will last.
    fn failed_at(&self, key: K, attempt: Attempt, now: Instant) -> Duration {
        let noise = self.noise.hash_one((&key, now));
        let mut failures = self.lock();
        let known = Failures::of(&mut failures, key, &attempt, now);
        let got_on = known.got_on(attempt.written);
        if got_on || now >= known.until {
            known.count = if got_on { 1 } else { known.count.saturating_add(1) };
            known.until = now + less_noise(doubled(known.count), noise);
        }
        known.until - now
    }

    /// From start to start, so that it makes no difference how long an attempt in vain takes.
    fn steady_at(&self, key: K, attempt: &Attempt, now: Instant) -> Duration {
        let noise = self.noise.hash_one((&key, now));
        let mut failures = self.lock();
        let known = Failures::of(&mut failures, key, attempt, now);
        known.until = (attempt.started + less_noise(steady_pace(now - known.since), noise)).max(now + FIRST);
        known.until - now
    }

    fn may_reword_at(&self, key: &K, now: Instant) -> bool {
        let mut failures = self.lock();
        let Some(known) = failures.get_mut(key) else { return true };
        let may = now - known.worded >= REWORD;
        if may {
            known.worded = now;
        }
        may
    }

    fn lasts_at(&self, key: &K, now: Instant) -> bool {
        self.lock().get(key).is_some_and(|known| now - known.since >= CONFLICT)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Failures>> {
        self.failures.lock().expect("no code panics while holding this lock")
    }
}

impl Failures {
    /// What is known of an object, as long as it is described as it was.
    fn of<'a, K: Eq + Hash>(all: &'a mut HashMap<K, Self>, key: K, attempt: &Attempt, now: Instant) -> &'a mut Self {
        let generation = attempt.generation;
        let new = || Self { generation, since: now, count: 0, until: now, written: BTreeSet::new(), worded: now };
        let known = all.entry(key).or_insert_with(new);
        if known.generation != generation {
            *known = new();
        }
        known
    }

    /// Whether anything was written that had not been written since the last success.
    fn got_on(&mut self, written: BTreeSet<String>) -> bool {
        let before = self.written.len();
        self.written.extend(written);
        self.written.len() > before
    }
}

/// [`FIRST`], doubled with each further failure up to [`LONGEST`].
fn doubled(failures: u32) -> Duration {
    let full = FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    full.min(LONGEST)
}

/// Up to a quarter less, so that objects which failed together part.
fn less_noise(full: Duration, noise: u64) -> Duration {
    let millis = u64::try_from(full.as_millis()).expect("a minute fits");
    Duration::from_millis(millis - noise % (millis / 4 + 1))
}

#[cfg(test)]
mod tests;
