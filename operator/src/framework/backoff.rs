//! Waiting longer after each failure of the same object, never in step with others.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::Mutex,
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);

/// Counts failures in a row, by object.
pub(crate) struct Backoff<K> {
    failures: Mutex<HashMap<K, u32>>,
    noise: RandomState,
}

impl<K: Eq + Hash> Backoff<K> {
    pub(crate) fn new() -> Self {
        Self { failures: Mutex::new(HashMap::new()), noise: RandomState::new() }
    }

    /// Notes a failure, and says how long to wait before the next try.
    pub(crate) fn failed(&self, key: K) -> Duration {
        let mut failures = self.failures.lock().expect("no code panics while holding this lock");
        let spread = self.noise.hash_one(&key);
        let count = failures.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        delay(*count, spread.wrapping_add(u64::from(*count).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
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
        let first = backoff.failed("shop");
        assert!(first <= FIRST && first >= FIRST * 3 / 4, "{first:?}");
        for _ in 0..40 {
            backoff.failed("shop");
        }
        let late = backoff.failed("shop");
        assert!(late <= LONGEST && late >= LONGEST * 3 / 4, "{late:?}");
        backoff.succeeded(&"shop");
        assert!(backoff.failed("shop") <= FIRST);
    }

    #[test]
    fn objects_do_not_share_their_count() {
        let backoff = Backoff::new();
        for _ in 0..10 {
            backoff.failed("broken");
        }
        assert!(backoff.failed("other") <= FIRST);
    }
}
