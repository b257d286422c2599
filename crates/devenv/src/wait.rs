//! Waiting for conditions, never for luck.

use std::{
    thread,
    time::{Duration, Instant},
};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Polls `probe` until it gives a value or `deadline` has passed; pauses grow from 5 ms to 200 ms.
///
/// The probe runs at least once.
pub fn until<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_ends_the_wait() {
        let mut calls = 0;
        let found = until(Duration::from_secs(5), || {
            calls += 1;
            (calls == 3).then_some(calls)
        });
        assert_eq!(found, Some(3));
    }

    #[test]
    fn a_condition_that_never_comes_true_is_probed_once_and_given_up() {
        let mut calls = 0;
        let found: Option<()> = until(Duration::ZERO, || {
            calls += 1;
            None
        });
        assert_eq!((found, calls), (None, 1));
    }
}
