//! Step 5: how far the service is, and what keeps it. Pure.

use std::{sync::Arc, time::Duration};

use api::{ConditionType, Reason, StoreServiceStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentStatus},
    autoscaling::v2::HorizontalPodAutoscalerCondition,
    core::v1::{ContainerStatus, Pod},
};

use super::{
    address,
    dereference::Seen,
    guest,
    validate::{Monitoring, Validated},
};
use crate::{
    framework::{Finding, trouble_of},
    refused,
    workload::image_tag,
};

/// How long a container may run without being ready before that is called a failing probe.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// How long an autoscaler may do without figures: pods that have just started are not measured yet.
const IDLE: SignedDuration = SignedDuration::from_mins(5);

/// The status, and the conditions to put into it. `wrote`: the cache is older than what was just written, so nothing
/// it shows counts as done.
pub(super) fn derive(
    of: &Validated,
    seen: &Seen,
    before: Option<&StoreServiceStatus>,
    wrote: bool,
    now: Timestamp,
) -> (StoreServiceStatus, Vec<Finding>) {
    let deployment = seen.deployment.as_deref();
    let counts = Counts::of(deployment);
    let verdict = verdict(of, seen, counts, wrote, now);
    let all_updated = verdict.is_current() && counts.updated == counts.exist && counts.exist > 0;
    let rolled_out = matches!(verdict, Verdict::Ready(_)) || all_updated;
    let status = StoreServiceStatus {
        version: match (rolled_out, before) {
            (true, _) => Some(image_tag(&of.image).to_owned()),
            (false, before) => before.and_then(|before| before.version.clone()),
        },
        image: match (rolled_out, before) {
            (true, _) => Some(of.image.clone()),
            (false, before) => before.and_then(|before| before.image.clone()),
        },
        // A Deployment does not count pods that are ending; whoever waits for the last one does.
        replicas: if counts.desired == 0 { alive(seen) } else { counts.exist },
        ready_replicas: counts.ready,
        desired_replicas: counts.desired,
        pods: Some(format!("{}/{}", counts.ready, counts.desired)),
        selector: Some(selector(of)),
        endpoint: address::endpoint(of, seen),
        ..StoreServiceStatus::default()
    };
    (status, verdict.findings())
}

/// Pods that run something, those that are ending included.
fn alive(seen: &Seen) -> i32 {
    let done = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    i32::try_from(seen.pods.iter().filter(|pod| !done(pod)).count()).unwrap_or(i32::MAX)
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    desired: i32,
    exist: i32,
    updated: i32,
    ready: i32,
    available: i32,
}

impl Counts {
    fn of(deployment: Option<&Deployment>) -> Self {
        let Some(deployment) = deployment else { return Self::default() };
        let status = deployment.status.clone().unwrap_or_default();
        Self {
            desired: deployment.spec.replicas.unwrap_or(1),
            exist: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Ready(Serving),
    /// What the cache shows is older than the spec.
    Outdated(String),
    /// Time will do.
    Waiting(Reason, String),
    /// Time alone will not.
    Stuck(Reason, String),
}

/// How far the pods of a service that is ready are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Serving {
    /// Every one of them is ready.
    All,
    /// Enough of them are.
    Enough(String),
    /// Enough of them are, and there can be no more, for this reason.
    NoMore(Reason, String),
    /// Every one of them is ready, and the autoscaler does not know how many there should be.
    Unscaled(String),
    /// Every one of them is ready, and Prometheus cannot be told of them.
    Unmonitored,
}

impl Serving {
    fn findings(self) -> Vec<Finding> {
        let (ready, progressing) = (ConditionType::Ready, ConditionType::Progressing);
        let told = |message: &str| Finding::yes(ready, Reason::AllReady, message);
        match self {
            Self::All => vec![
                told("every pod is ready and runs the image of the spec"),
                Finding::no(progressing, Reason::Settled, "nothing is under way"),
            ],
            Self::Enough(message) => {
                vec![told(&message), Finding::yes(progressing, Reason::PodsStarting, message)]
            }
            Self::NoMore(reason, message) => {
                vec![told(&message), Finding::no(progressing, reason, message)]
            }
            Self::Unmonitored => {
                let message = "every pod is ready and runs the image of the spec; no PodMonitor is made, because the cluster \
                               does not know that kind: install the Prometheus Operator";
                vec![told(message), Finding::no(progressing, Reason::Settled, message)]
            }
            Self::Unscaled(message) => {
                vec![told(&message), Finding::no(progressing, Reason::Settled, message)]
            }
        }
    }
}

impl Verdict {
    fn is_current(&self) -> bool {
        !matches!(self, Self::Outdated(_))
    }

    fn message(self) -> String {
        match self {
            Self::Ready(_) => String::new(),
            Self::Outdated(message) | Self::Waiting(_, message) | Self::Stuck(_, message) => message,
        }
    }

    fn findings(self) -> Vec<Finding> {
        let (ready, progressing) = (ConditionType::Ready, ConditionType::Progressing);
        match self {
            Self::Ready(serving) => serving.findings(),
            Self::Outdated(message) => vec![
                Finding::no(ready, Reason::Reconciling, message.clone()),
                Finding::yes(progressing, Reason::Reconciling, message),
            ],
            Self::Waiting(reason, message) => {
                vec![Finding::no(ready, reason, message.clone()), Finding::yes(progressing, reason, message)]
            }
            Self::Stuck(reason, message) => {
                vec![Finding::no(ready, reason, message.clone()), Finding::no(progressing, reason, message)]
            }
        }
    }
}

fn verdict(of: &Validated, seen: &Seen, counts: Counts, wrote: bool, now: Timestamp) -> Verdict {
    let Some(deployment) = seen.deployment.as_deref().filter(|_| !wrote) else {
        return Verdict::Outdated("the service's objects are being written".to_owned());
    };
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        return Verdict::Outdated("the Deployment's change has not been taken up yet".to_owned());
    }
    if counts.updated == counts.exist && counts.updated >= of.scaling.least() && counts.available >= of.scaling.least()
    {
        return serving(of, seen).unwrap_or_else(|| Verdict::Ready(how_many(of, seen, counts, &status, now)));
    }
    if let Some(refused) = refused::of_deployment(&status).filter(|_| !missed_deadline(&status)) {
        return Verdict::Stuck(Reason::PodsRefused, format!("the API server refuses pods: {refused}"));
    }
    let trouble = trouble_of(seen.pods.iter().map(|pod| &**pod));
    if missed_deadline(&status) {
        let cause = trouble.map_or_else(|| waiting(seen, counts, now).message(), |trouble| trouble.message);
        return Verdict::Stuck(Reason::ProgressDeadlineExceeded, format!("the roll makes no progress: {cause}"));
    }
    match trouble {
        Some(trouble) => Verdict::Stuck(trouble.reason, trouble.message),
        None => waiting(seen, counts, now),
    }
}

/// Whether the Deployment's controller has given the roll up (`progressDeadlineSeconds`).
fn missed_deadline(status: &DeploymentStatus) -> bool {
    status.conditions.iter().flatten().any(|condition| {
        condition.type_.as_deref() == Some("Progressing")
            && condition.status.as_deref() == Some("False")
            && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
    })
}

/// The pods are ready; what keeps them from being reached, or from having what was asked for them.
fn serving(of: &Validated, seen: &Seen) -> Option<Verdict> {
    if of.guest.as_ref().is_some_and(|guest| guest.suspend) {
        let message = "the store sleeps, and the service with it".to_owned();
        return Some(Verdict::Stuck(Reason::Suspended, message));
    }
    if address::is_pending(of, seen) {
        let message = format!("the pods are ready; Service {} waits for the address of its load balancer", of.name);
        return Some(Verdict::Waiting(Reason::AddressPending, message));
    }
    Some(match guest::missing(of.guest.as_ref(), &seen.host)? {
        (reason, message) if reason.is_failure() => Verdict::Stuck(reason, message),
        (reason, message) => Verdict::Waiting(reason, message),
    })
}

/// An autoscaled service is ready with its least number of pods, though its autoscaler may have asked for more.
fn how_many(of: &Validated, seen: &Seen, counts: Counts, status: &DeploymentStatus, now: Timestamp) -> Serving {
    let Counts { desired, available, .. } = counts;
    let few = format!("{available} of {desired} pods are ready; at least {} are needed", of.scaling.least());
    match (refused::of_deployment(status).filter(|_| available < desired), idle(seen, now)) {
        (Some(refused), _) => {
            Serving::NoMore(Reason::PodsRefused, format!("{few}; the API server refuses pods: {refused}"))
        }
        (None, None) if available < desired => Serving::Enough(few),
        (None, Some(cause)) if available < desired => Serving::Enough(format!("{few}; {cause}")),
        (None, Some(cause)) => Serving::Unscaled(format!("every pod is ready and runs the image of the spec; {cause}")),
        (None, None) if of.monitoring == Monitoring::Unknown => Serving::Unmonitored,
        (None, None) => Serving::All,
    }
}

/// Why the autoscaler does not scale, if it has not for long: most often nobody measures the pods.
fn idle(seen: &Seen, now: Timestamp) -> Option<String> {
    let idle = idle_autoscaler(seen).filter(|idle| idle_for(idle, now).is_some_and(|time| time >= IDLE))?;
    let cause = idle.message.as_deref().or(idle.reason.as_deref()).unwrap_or("no reason is given");
    Some(format!("the autoscaler does not scale: {cause}"))
}

/// How soon it is to be told that the autoscaler does not scale, unless it does by then: only the clock tells.
pub(super) fn told_in(seen: &Seen, now: Timestamp) -> Option<Duration> {
    let rest = IDLE - idle_for(idle_autoscaler(seen)?, now)?;
    Duration::try_from(rest).ok().filter(|rest| !rest.is_zero())
}

fn idle_autoscaler(seen: &Seen) -> Option<&HorizontalPodAutoscalerCondition> {
    let conditions = seen.autoscaler.as_ref()?.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|held| {
        matches!(held.type_.as_str(), "ScalingActive" | "AbleToScale")
            && held.status == "False"
            && held.reason.as_deref() != Some("ScalingDisabled")
    })
}

fn idle_for(idle: &HorizontalPodAutoscalerCondition, now: Timestamp) -> Option<SignedDuration> {
    idle.last_transition_time.as_ref().map(|since| now.duration_since(since.0))
}

fn waiting(seen: &Seen, counts: Counts, now: Timestamp) -> Verdict {
    let Counts { desired, exist, updated, ready, .. } = counts;
    let failing = |pod: &Arc<Pod>| Some((pod.metadata.name.clone()?, failing_probe(pod, now)?));
    if let Some((name, probe)) = seen.pods.iter().find_map(failing) {
        let message = format!("pod {name} runs but its {probe} probe fails: see its logs for what it waits for");
        return Verdict::Waiting(Reason::ProbeFailing, message);
    }
    if updated < exist {
        let message =
            format!("{updated} of {desired} pods run the image of the spec, {} are being replaced", exist - updated);
        return Verdict::Waiting(Reason::RollingOut, message);
    }
    Verdict::Waiting(Reason::PodsStarting, format!("{ready} of {desired} pods are ready"))
}

/// Which probe of a container fails that has run for a while and is not ready.
fn failing_probe(pod: &Pod, now: Timestamp) -> Option<&'static str> {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let waits = |container: &&ContainerStatus| !container.ready && runs_since(container, now) >= PATIENCE;
    let waiting = statuses.iter().filter(|_| pod.metadata.deletion_timestamp.is_none()).find(waits)?;
    Some(if waiting.started == Some(true) { "readiness" } else { "startup" })
}

fn runs_since(container: &ContainerStatus, now: Timestamp) -> SignedDuration {
    let running = container.state.as_ref().and_then(|state| state.running.as_ref());
    running
        .and_then(|running| running.started_at.as_ref())
        .map_or(SignedDuration::ZERO, |since| now.duration_since(since.0))
}

fn selector(of: &Validated) -> String {
    let pairs: Vec<String> = of.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests;
