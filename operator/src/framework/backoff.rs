//! Waiting longer after each failure of the same object, never in step with others.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::Mutex,
    time::{Duration, Instant},
};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);

/// Counts failures in a row, by object.
pub(crate) struct Backoff<K> {
    failures: Mutex<HashMap<K, Failures>>,
    noise: RandomState,
}

struct Failures {
    count: u32,
    /// When the next try is due.
    until: Instant,
}

impl<K: Eq + Hash> Backoff<K> {
    pub(crate) fn new() -> Self {
        Self { failures: Mutex::new(HashMap::new()), noise: RandomState::new() }
    }

    /// Notes a failure, and says how long to wait before the next try.
    pub(crate) fn failed(&self, key: K) -> Duration {
        self.failed_at(key, Instant::now())
    }

    /// A failure before the next try was due does not lengthen the wait: a change woke the object, often our own report
    /// of the failure before, and that says nothing about how long the cause will last.
    fn failed_at(&self, key: K, now: Instant) -> Duration {
        let mut failures = self.failures.lock().expect("no code panics while holding this lock");
        let spread = self.noise.hash_one(&key);
        let known = failures.entry(key).or_insert(Failures { count: 0, until: now });
        if now >= known.until {
            known.count = known.count.saturating_add(1);
            let noise = spread.wrapping_add(u64::from(known.count).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            known.until = now + delay(known.count, noise);
        }
        known.until - now
    }

    /// Notes a success, or that the object is gone.
    pub(crate) fn succeeded(&self, key: &K) {
        self.failures.lock().expect("no code panics while holding this lock").remove(key);
    }
}

/// Doubles from [`FIRST`] to [`LONGEST`], minus up to a quarter so that objects which failed together part.
fn delay(failures: u32, noise: u64) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let full = doubled.min(LONGEST);
    let millis = u64::try_from(full.as_millis()).expect("a minute fits");
    Duration::from_millis(millis - noise % (millis / 4 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_the_longest_and_start_over_after_a_success() {
        let backoff = Backoff::new();
        let mut now = Instant::now();
        let first = backoff.failed_at("shop", now);
        assert!(first <= FIRST && first >= FIRST * 3 / 4, "{first:?}");
        for _ in 0..40 {
            now += LONGEST;
            backoff.failed_at("shop", now);
        }
        let late = backoff.failed_at("shop", now + LONGEST);
        assert!(late <= LONGEST && late >= LONGEST * 3 / 4, "{late:?}");
        backoff.succeeded(&"shop");
        assert!(backoff.failed_at("shop", now) <= FIRST);
    }

    #[test]
    fn a_failure_before_the_next_try_is_due_neither_lengthens_nor_postpones_it() {
        let backoff = Backoff::new();
        let now = Instant::now();
        let first = backoff.failed_at("shop", now);
        for early in [0, 10, 100].map(Duration::from_millis) {
            assert_eq!(backoff.failed_at("shop", now + early) + early, first);
        }
        assert!(backoff.failed_at("shop", now + first) <= FIRST * 2);
    }

    #[test]
    fn objects_do_not_share_their_count() {
        let backoff = Backoff::new();
        let now = Instant::now();
        for minute in 0..10 {
            backoff.failed_at("broken", now + LONGEST * minute);
        }
        assert!(backoff.failed_at("other", now) <= FIRST);
    }
}
