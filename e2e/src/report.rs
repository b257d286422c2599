//! How a load went.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Result, bail};

/// One request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When it was sent, since the load began.
    pub at: Duration,
    /// What was asked, and over which connection.
    pub request: String,
    /// What went wrong.
    pub text: String,
}

/// Counts of a load.
#[derive(Debug, Clone, Default)]
pub struct Report {
    succeeded: usize,
    /// How many of them wrote something.
    written: usize,
    failures: Vec<Failure>,
    latencies: Vec<Duration>,
    /// What the load was to send, had every second its requests.
    promised: usize,
}

impl Report {
    pub(crate) fn count(&mut self, at: Duration, request: &str, took: Duration, failure: Option<String>) {
        if let Some(text) = failure {
            self.failures.push(Failure { at, request: request.to_owned(), text });
        } else {
            self.succeeded += 1;
            self.written += usize::from(request.starts_with("POST "));
            self.latencies.push(took);
        }
    }

    /// Requests that succeeded.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        self.succeeded
    }

    /// Those of them that wrote something.
    #[must_use]
    pub fn written(&self) -> usize {
        self.written
    }

    /// Notes what no single request could see.
    pub(crate) fn fail(&mut self, text: String) {
        self.failures.push(Failure { at: Duration::ZERO, request: "afterwards".to_owned(), text });
    }

    /// Every request that failed.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The latency that `percent` of the successes kept below.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(index).copied().unwrap_or_default()
    }

    /// Says how many requests the load was to send.
    pub(crate) fn promise(&mut self, requests: usize) {
        self.promised = requests;
    }

    /// Fails unless no request failed, and about as many were sent as were to be.
    pub fn expect_no_failure(&self) -> Result<()> {
        if !self.failures.is_empty() {
            bail!("{self}");
        }
        if self.succeeded == 0 || self.succeeded * 10 < self.promised * 9 {
            bail!("the load was no load: {} of {} requests", self.succeeded, self.promised);
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |percent| self.percentile(percent).as_millis();
        let (succeeded, failed) = (self.succeeded, self.failures.len());
        let (half, most, all) = (milliseconds(50), milliseconds(99), milliseconds(100));
        writeln!(f, "{succeeded} requests succeeded, {failed} failed; p50 {half} ms, p99 {most} ms, longest {all} ms")?;
        let mut groups: BTreeMap<(&str, &str), Vec<Duration>> = BTreeMap::new();
        for failure in &self.failures {
            groups.entry((&failure.text, &failure.request)).or_default().push(failure.at);
        }
        for ((text, request), at) in groups {
            let (first, last) = (at.iter().min().copied(), at.iter().max().copied());
            writeln!(
                f,
                "  {} times, {:?} to {:?}: {request}: {text}",
                at.len(),
                first.unwrap_or_default(),
                last.unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(successes: u64, failures: &[&str]) -> Report {
        let mut report = Report::default();
        for number in 1..=successes {
            report.count(Duration::ZERO, "GET /", Duration::from_millis(number), None);
        }
        for (second, text) in failures.iter().enumerate() {
            report.count(Duration::from_secs(second as u64), "GET /", Duration::ZERO, Some((*text).to_owned()));
        }
        report
    }

    #[test]
    fn failures_are_grouped_by_what_went_wrong() {
        let text = report(100, &["503", "reset", "503"]).to_string();
        let expected = "100 requests succeeded, 3 failed; p50 51 ms, p99 100 ms, longest 100 ms\n  \
            2 times, 0ns to 2s: GET /: 503\n  1 times, 1s to 1s: GET /: reset\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn one_failure_is_too_many_and_so_is_no_load() {
        let of = |promised: usize, mut report: Report| {
            report.promise(promised);
            report.expect_no_failure()
        };
        of(50, report(50, &[])).unwrap();
        of(50, report(45, &[])).unwrap();
        assert!(of(1, report(50, &["reset"])).is_err());
        assert!(of(50, report(44, &[])).is_err());
        assert!(of(0, report(0, &[])).is_err());
    }
}
