//! How soon a watch that broke begins again.

use std::time::Duration;

use kube::runtime::{utils::Backoff, watcher::DefaultBackoff};

/// The longest wait. The library's own grows to a minute, chance included: for so long after an API server is back nothing would be
/// done. An attempt in five seconds burdens nobody.
const MOST: Duration = Duration::from_secs(5);

/// The library's own back-off, up to [`MOST`].
#[derive(Default)]
pub(super) struct Rewatch(DefaultBackoff);

impl Iterator for Rewatch {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|wait| wait.min(MOST))
    }
}

impl Backoff for Rewatch {
    fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_breaks_again_and_again_waits_longer_each_time_but_never_long() {
        let waits: Vec<_> = Rewatch::default().take(20).collect();
        assert!(waits[0] < MOST / 2, "{waits:?}");
        assert!(waits.is_sorted() && waits.last() == Some(&MOST), "{waits:?}");
    }
}
