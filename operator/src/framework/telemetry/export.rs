//! Sending traces away, which nothing may wait for.

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError, mpsc::Sender},
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long one batch may take. The exporter's own limit does not cover a connection that never comes.
const LIMIT: Duration = Duration::from_secs(10);

/// How often a collector that stays away is told of.
const REMINDER: Duration = Duration::from_mins(5);

/// Sends spans until it is told to stop, and tells of trouble now and then.
#[derive(Debug)]
pub(super) struct Sending<E> {
    exporter: E,
    /// The thread that sends is none of the runtime's.
    runtime: Handle,
    stop: CancellationToken,
    trouble: Mutex<Trouble>,
    /// Tells, by being dropped, that nothing is sent any more.
    _ends: Sender<Infallible>,
}

impl<E> Sending<E> {
    /// Sends with `exporter`, from a thread outside of the runtime that this is called in.
    pub(super) fn with(exporter: E, stop: CancellationToken, ends: Sender<Infallible>) -> Self {
        Self { exporter, runtime: Handle::current(), stop, trouble: Mutex::default(), _ends: ends }
    }

    fn tell(&self, count: usize, result: &OTelSdkResult) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (trouble.note(Instant::now(), count, result.is_ok()), result) {
            (Some(lost), Err(error)) => {
                tracing::warn!(error = error.to_string(), lost, "traces are not delivered");
            }
            (Some(lost), Ok(())) => tracing::info!(lost, "traces are delivered again"),
            (None, _) => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for Sending<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let sent = {
            let _timers = self.runtime.enter();
            timeout(LIMIT, self.exporter.export(batch))
        };
        let result = tokio::select! {
            biased;
            // Past that there may be no runtime.
            () = self.stop.cancelled() => return Err(OTelSdkError::AlreadyShutdown),
            sent = sent => sent.unwrap_or(Err(OTelSdkError::Timeout(LIMIT))),
        };
        self.tell(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// What has been lost since spans were delivered, and when that was told.
#[derive(Debug, Default)]
struct Trouble {
    lost: usize,
    told: Option<Instant>,
}

impl Trouble {
    /// Notes what became of some spans. Returns how many have been lost, if that is to be told.
    fn note(&mut self, now: Instant, spans: usize, delivered: bool) -> Option<usize> {
        if delivered {
            return self.told.take().map(|_| std::mem::take(&mut self.lost));
        }
        self.lost += spans;
        if self.told.is_some_and(|told| now.duration_since(told) < REMINDER) {
            return None;
        }
        self.told = Some(now);
        Some(self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_when_it_begins_now_and_then_and_when_it_ends() {
        let (mut trouble, start) = (Trouble::default(), Instant::now());
        let soon = start + Duration::from_secs(5);
        assert_eq!(trouble.note(start, 3, true), None);
        assert_eq!(trouble.note(start, 3, false), Some(3));
        assert_eq!(trouble.note(soon, 3, false), None);
        assert_eq!(trouble.note(start + REMINDER, 3, false), Some(9));
        assert_eq!(trouble.note(start + REMINDER, 3, true), Some(9));
        assert_eq!(trouble.note(start + REMINDER, 3, true), None);
        assert_eq!(trouble.note(start + REMINDER, 1, false), Some(1));
    }
}
