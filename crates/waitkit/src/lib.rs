//! How tests wait: for conditions, never for luck.

use std::time::{Duration, Instant};

/// How long a test waits for what should come soon: ample on a slow machine, short enough to end a hopeless run.
pub const DEADLINE: Duration = Duration::from_mins(1);

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Polls `probe` until it gives a value.
///
/// # Panics
///
/// When `deadline` passes first; the message says that `what` did not come.
pub async fn wait_until<T, F>(deadline: Duration, what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(begun.elapsed() < deadline, "waited {deadline:?} in vain for {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Polls `condition` until it is true, for [`DEADLINE`] at the most.
///
/// # Panics
///
/// When the deadline passes first.
pub async fn eventually<F>(what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    wait_until(DEADLINE, what, || {
        let holds = condition();
        async move { holds.await.then_some(()) }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut calls = 0;
        let third = wait_until(DEADLINE, "the third call", || {
            calls += 1;
            std::future::ready((calls == 3).then_some(calls))
        });
        assert_eq!(third.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for godot")]
    async fn a_hopeless_wait_ends_and_says_for_what() {
        wait_until(Duration::ZERO, "godot", || std::future::ready(None::<()>)).await;
    }
}
