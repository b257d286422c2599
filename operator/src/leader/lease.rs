//! Taking, keeping and giving back the lease.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::election::{Election, Lost, Step, Timing};
use crate::framework::{Clock, Gate, Uptime, chain, show_leading, show_transitions};

/// How long one request may take: a leader must be able to try twice before its deadline.
const REQUEST: Duration = Duration::from_secs(2);

/// A process that wants to lead.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// What the process calls itself in the lease; no other process ever has the same name.
    pub(crate) identity: String,
    /// Namespace of the lease.
    pub(crate) namespace: String,
    /// Name of the lease.
    pub(crate) name: String,
}

/// The part of a process that takes part in the election and opens the gate while it leads.
pub(crate) struct Leadership {
    api: Api<Lease>,
    candidate: Candidate,
    election: Election,
    /// Whether the lease is known as it is, so that it need not be read.
    fresh: bool,
    gate: Gate,
    clock: Clock,
    uptime: Uptime,
}

impl Leadership {
    pub(crate) fn new(client: Client, candidate: Candidate, gate: Gate, uptime: Uptime) -> Self {
        show_leading(false);
        Self {
            api: Api::namespaced(client, &candidate.namespace),
            election: Election::new(candidate.identity.clone(), Timing::STANDARD),
            candidate,
            fresh: false,
            gate,
            clock: Clock::system(),
            uptime,
        }
    }

    /// Stands until it wins, tells so by `lead`, and renews until `release` ends that, or until it has lost.
    pub(crate) async fn run(mut self, lead: CancellationToken, release: CancellationToken) -> Result<(), Lost> {
        let Candidate { identity, namespace, name } = &self.candidate;
        tracing::info!(identity, lease = format!("{namespace}/{name}"), "standing for leader");
        while !release.is_cancelled() {
            let pause = self.round().await?;
            if self.election.leads() {
                lead.cancel();
            }
            tokio::select! { () = release.cancelled() => {}, () = sleep(pause) => {} }
        }
        self.release().await;
        Ok(())
    }

    /// Looks at the lease where need be, and writes it where that is in order. Returns how long there is nothing to do.
    async fn round(&mut self) -> Result<Duration, Lost> {
        let outcome = self.play().await;
        if outcome.is_err() {
            self.gate.close();
            show_leading(false);
        }
        outcome
    }

    async fn play(&mut self) -> Result<Duration, Lost> {
        self.election.check_deadline(self.uptime.now())?;
        if !self.fresh && !self.read().await {
            return Ok(self.election.retry());
        }
        // A leader trusts what it wrote; others look again each time.
        self.fresh = self.election.leads();
        match self.election.decide(self.uptime.now())? {
            Step::Wait(pause) => Ok(pause),
            step => {
                self.write(step).await;
                Ok(if self.fresh { Duration::ZERO } else { self.election.retry() })
            }
        }
    }

    /// Whether the lease could be read.
    async fn read(&mut self) -> bool {
        match within(self.api.get_opt(&self.candidate.name)).await {
            Ok(lease) => {
                let before = self.election.holder().map(str::to_owned);
                // Only now: what was seen may have been written as late as this.
                self.election.observe(lease, self.uptime.now());
                self.note(before.as_deref());
                true
            }
            Err(why) => {
                tracing::warn!(error = why, "cannot read the lease");
                false
            }
        }
    }

    async fn write(&mut self, step: Step) {
        let Candidate { namespace, name, .. } = &self.candidate;
        let lease = self.election.claim(namespace, name, self.clock.now());
        let params = PostParams::default();
        // The lease runs from here, whenever the answer comes.
        let sent = self.uptime.now();
        let written = match step {
            Step::Create => within(self.api.create(&params, &lease)).await,
            _ => within(self.api.replace(name, &params, &lease)).await,
        };
        match written {
            Ok(lease) => self.won(lease, sent),
            Err(why) => {
                self.fresh = false;
                let leads = self.election.leads();
                tracing::warn!(error = why, leads, "cannot write the lease: another may have been faster");
            }
        }
    }

    fn won(&mut self, lease: Lease, sent: Duration) {
        if !self.election.leads() {
            tracing::info!(identity = self.candidate.identity, "leading");
        }
        self.election.won(lease, sent);
        self.fresh = true;
        if let Some(end) = self.election.open_until() {
            self.gate.open_until(end);
        }
        show_leading(true);
        show_transitions(self.election.transitions());
    }

    fn note(&self, before: Option<&str>) {
        show_transitions(self.election.transitions());
        let holder = self.election.holder();
        if holder != before {
            tracing::info!(holder = holder.unwrap_or("nobody"), "the lease has a holder");
        }
    }

    /// Gives the lease back if it is held. Nothing may be written afterwards.
    async fn release(&mut self) {
        self.gate.close();
        show_leading(false);
        let Some(lease) = self.election.release(self.clock.now()) else { return };
        match within(self.api.replace(&self.candidate.name, &PostParams::default(), &lease)).await {
            Ok(_) => tracing::info!("released the lease"),
            Err(why) => tracing::warn!(error = why, "cannot release the lease: it ends by itself"),
        }
    }
}

/// The answer to a request, or why there is none.
async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match timeout(REQUEST, request).await {
        Ok(answer) => answer.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer within {} seconds", REQUEST.as_secs())),
    }
}

#[cfg(test)]
mod tests;
