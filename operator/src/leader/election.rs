//! What to do about the lease, given how it was last seen and what time it is. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long a candidate that sees no renewal waits before it takes the lease.
    pub(super) duration: Duration,
    /// How long after its last renewal a leader may act. What it has sent by then arrives before the lease ends.
    pub(super) renew_deadline: Duration,
    /// How often a leader renews.
    pub(super) renew_every: Duration,
    /// How soon to try again, and how often a candidate looks.
    pub(super) retry: Duration,
}

impl Timing {
    /// Ten seconds for the lease: with them a killed leader is followed within fifteen.
    pub(super) const STANDARD: Self = Self {
        duration: Duration::from_secs(10),
        renew_deadline: Duration::from_secs(7),
        renew_every: Duration::from_millis(2500),
        retry: Duration::from_secs(1),
    };
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make the lease: there is none.
    Create,
    /// Replace it, with this process as its holder.
    Take,
    /// Replace it, with a newer time of renewal.
    Renew,
    /// Nothing before this has passed.
    Wait(Duration),
}

/// Why a leader is none any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    /// Another process holds the lease.
    #[error("{0} took the lease")]
    Taken(String),
    /// The lease could not be renewed in time.
    #[error("the lease could not be renewed within {} seconds", .0.as_secs())]
    Overdue(Duration),
}

/// What one process knows of the election. Times are uptimes of its machine.
#[derive(Debug)]
pub(super) struct Election {
    identity: String,
    timing: Timing,
    seen: Option<Seen>,
    /// When the renewal that last succeeded was sent; `None` for who does not lead.
    held_since: Option<Duration>,
}

/// The lease as last seen.
#[derive(Debug)]
struct Seen {
    /// `None` when there is none.
    lease: Option<Lease>,
    /// Until when its holder may believe to hold it.
    taken_until: Duration,
}

impl Election {
    pub(super) fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, seen: None, held_since: None }
    }

    /// Notes how the lease was found at `now`.
    pub(super) fn observe(&mut self, lease: Option<Lease>, now: Duration) {
        let before = self.seen.take();
        let taken_until = match (&before, &lease) {
            // Nor may its holder know if it was removed before the first look.
            (None, None) => now + self.timing.duration,
            // Somebody removed it: its holder does not know that yet.
            (Some(before), None) => before.taken_until,
            (Some(before), Some(found)) if spec_of(before.lease.as_ref()) == spec_of(Some(found)) => before.taken_until,
            (_, Some(found)) => now + self.term_of(found),
        };
        self.seen = Some(Seen { lease, taken_until });
    }

    /// Notes that this process wrote the lease, by a request sent at `sent`, and leads.
    pub(super) fn won(&mut self, lease: Lease, sent: Duration) {
        self.seen = Some(Seen { lease: Some(lease), taken_until: sent });
        self.held_since = Some(sent);
    }

    /// What to do at `now`; an error if this process led and must not any more. The lease has been seen before.
    pub(super) fn decide(&self, now: Duration) -> Result<Step, Lost> {
        self.check_deadline(now)?;
        let holder = self.holder();
        let lease = self.seen.as_ref().and_then(|seen| seen.lease.as_ref());
        match (self.held_since, lease) {
            (Some(_), None) => Ok(Step::Create),
            (Some(_), Some(_)) if holder != Some(&self.identity) => {
                Err(Lost::Taken(holder.unwrap_or("nobody, as it was emptied,").to_owned()))
            }
            (Some(since), Some(_)) => Ok(wait_until(since + self.timing.renew_every, now).unwrap_or(Step::Renew)),
            (None, lease) => Ok(self.free_at().and_then(|free| wait_until(free, now)).map_or_else(
                || if lease.is_some() { Step::Take } else { Step::Create },
                |wait| wait.at_most(self.timing.retry),
            )),
        }
    }

    /// An error if this process leads and has not renewed in time.
    pub(super) fn check_deadline(&self, now: Duration) -> Result<(), Lost> {
        match self.open_until() {
            Some(end) if now >= end => Err(Lost::Overdue(self.timing.renew_deadline)),
            _ => Ok(()),
        }
    }

    /// Until when this process may write; `None` if it may not.
    pub(super) fn open_until(&self) -> Option<Duration> {
        Some(self.held_since? + self.timing.renew_deadline)
    }

    pub(super) fn leads(&self) -> bool {
        self.held_since.is_some()
    }

    pub(super) fn retry(&self) -> Duration {
        self.timing.retry
    }

    /// Who the lease says holds it.
    pub(super) fn holder(&self) -> Option<&str> {
        self.seen.as_ref()?.lease.as_ref().and_then(holder_of)
    }

    /// How often the lease has changed hands, as far as it says.
    pub(super) fn transitions(&self) -> Option<i32> {
        spec_of(self.seen.as_ref()?.lease.as_ref())?.lease_transitions
    }

    /// The lease as this process, when it takes or renews it, writes it. `now` is for people to read.
    pub(super) fn claim(&self, namespace: &str, name: &str, now: Timestamp) -> Lease {
        let (metadata, before) = self.base(namespace, name);
        let renewed = before.holder_identity.as_ref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or(0);
        let is_new = metadata.resource_version.is_none();
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.duration.as_secs()).ok(),
            acquire_time: before.acquire_time.clone().filter(|_| renewed).or(Some(MicroTime(now))),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(if renewed || is_new { transitions } else { transitions.saturating_add(1) }),
            ..before
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// The lease with nobody as its holder, for the next to take at once; `None` if this process does not hold it.
    pub(super) fn release(&self, now: Timestamp) -> Option<Lease> {
        if !self.leads() || self.holder() != Some(&self.identity) {
            return None;
        }
        let mut lease = self.seen.as_ref()?.lease.clone()?;
        let before = lease.spec.take().unwrap_or_default();
        let spec = LeaseSpec {
            holder_identity: None,
            lease_duration_seconds: Some(1),
            renew_time: Some(MicroTime(now)),
            ..before
        };
        Some(Lease { spec: Some(spec), ..lease })
    }

    fn base(&self, namespace: &str, name: &str) -> (ObjectMeta, LeaseSpec) {
        if let Some(lease) = self.seen.as_ref().and_then(|seen| seen.lease.clone()) {
            return (lease.metadata, lease.spec.unwrap_or_default());
        }
        let (name, namespace) = (Some(name.to_owned()), Some(namespace.to_owned()));
        (ObjectMeta { name, namespace, ..ObjectMeta::default() }, LeaseSpec::default())
    }

    /// When a candidate may write the lease; `None` when it may at once.
    fn free_at(&self) -> Option<Duration> {
        let seen = self.seen.as_ref()?;
        (self.holder() != Some(&self.identity)).then_some(seen.taken_until)
    }

    /// How long the holder of a lease may believe to hold it, from when it was seen.
    fn term_of(&self, lease: &Lease) -> Duration {
        if holder_of(lease).is_none() {
            return Duration::ZERO;
        }
        let seconds = spec_of(Some(lease)).and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        match u64::try_from(seconds) {
            Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
            _ => self.timing.duration,
        }
    }
}

impl Step {
    fn at_most(self, longest: Duration) -> Self {
        match self {
            Self::Wait(time) => Self::Wait(time.min(longest)),
            step => step,
        }
    }
}

fn wait_until(time: Duration, now: Duration) -> Option<Step> {
    time.checked_sub(now).filter(|rest| !rest.is_zero()).map(Step::Wait)
}

fn spec_of(lease: Option<&Lease>) -> Option<&LeaseSpec> {
    lease?.spec.as_ref()
}

fn holder_of(lease: &Lease) -> Option<&str> {
    spec_of(Some(lease))?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests;
