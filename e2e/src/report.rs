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

/// One request that was sent, and what came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    /// When, since the load began.
    pub(crate) at: Duration,
    /// Method and path.
    pub(crate) request: String,
    /// Over which connection.
    pub(crate) connection: &'static str,
    /// How long it took.
    pub(crate) took: Duration,
    /// What went wrong, if something did.
    pub(crate) failure: Option<String>,
}

/// Counts of a load.
#[derive(Debug, Clone, Default)]
pub struct Report {
    succeeded: BTreeMap<String, usize>,
    failures: Vec<Failure>,
    latencies: Vec<Duration>,
    /// What the load was to send, had every second its requests.
    promised: usize,
}

impl Report {
    pub(crate) fn count(&mut self, sent: Sent) {
        let Sent { at, request, connection, took, failure } = sent;
        if let Some(text) = failure {
            self.failures.push(Failure { at, request: format!("{request} over a {connection} connection"), text });
        } else {
            *self.succeeded.entry(request).or_default() += 1;
            self.latencies.push(took);
        }
    }

    /// Requests that succeeded.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        self.latencies.len()
    }

    /// Those of them that were this one: `POST /api/orders`.
    #[must_use]
    pub fn of(&self, request: &str) -> usize {
        self.succeeded.get(request).copied().unwrap_or_default()
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
        let succeeded = self.succeeded();
        if succeeded == 0 || succeeded * 10 < self.promised * 9 {
            bail!("the load was no load: {succeeded} of {} requests", self.promised);
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |percent| self.percentile(percent).as_millis();
        let (succeeded, failed) = (self.succeeded(), self.failures.len());
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
        let sent = || Sent { request: "GET /".to_owned(), connection: "new", ..Sent::default() };
        for number in 1..=successes {
            report.count(Sent { took: Duration::from_millis(number), ..sent() });
        }
        for (second, text) in failures.iter().enumerate() {
            let at = Duration::from_secs(second as u64);
            report.count(Sent { at, failure: Some((*text).to_owned()), ..sent() });
        }
        report
    }

    #[test]
    fn failures_are_grouped_by_what_went_wrong() {
        let text = report(100, &["503", "reset", "503"]).to_string();
        let expected = "100 requests succeeded, 3 failed; p50 51 ms, p99 100 ms, longest 100 ms\n  \
            2 times, 0ns to 2s: GET / over a new connection: 503\n  \
            1 times, 1s to 1s: GET / over a new connection: reset\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn successes_are_counted_by_request_over_whichever_connection() {
        let mut report = report(3, &["reset"]);
        report.count(Sent { request: "POST /".to_owned(), connection: "kept", ..Sent::default() });
        report.count(Sent { request: "GET /".to_owned(), connection: "kept", ..Sent::default() });
        assert_eq!((report.succeeded(), report.of("GET /"), report.of("POST /"), report.of("PUT /")), (5, 4, 1, 0));
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
