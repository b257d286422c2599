//! Step 5: how far the store is, and what keeps it. Pure.

use api::{ConditionType, Endpoints, Reason, ServiceName, ServiceStatus, StoreStatus, UpgradeRecord};
use jiff::Timestamp;

use super::{
    apply::Wrote,
    dereference::Seen,
    plan::{Plan, behind},
    sleep,
    upgrade::{self, Release},
    validate::{Cache, Service, Validated},
    verdict::{Parts, Verdict, migrating},
};
use crate::{framework::Finding, workload::image_tag};

/// The status, and the conditions to put into it.
pub(super) fn derive(
    of: &Validated,
    seen: &Seen,
    plan: &Plan,
    before: Option<&StoreStatus>,
    wrote: &Wrote,
    now: Timestamp,
) -> (StoreStatus, Vec<Finding>) {
    let mut status = StoreStatus {
        version: before.and_then(|before| before.version.clone()),
        services: services(of, seen),
        endpoints: endpoints(of, seen),
        history: before.map(|before| before.history.clone()).unwrap_or_default(),
        ..StoreStatus::default()
    };
    if of.suspend {
        return (status, sleep::findings(of, seen, plan, before, wrote));
    }
    let parts = Parts::look(of, seen, plan, wrote);
    let rolled = parts.services.is_ok() && plan.migrated();
    if rolled {
        status.version = Some(plan.course.release.version.clone());
    }
    let outcome = upgrade::outcome(of, seen, plan, rolled);
    status.history = upgrade::history(of, &plan.course, before, outcome, now);
    // Pods that are replaced for another reason, or fall ill, run the version all the same.
    let progress =
        if upgrade::has_succeeded(of, &status.history) { Progress::Ran(behind(of, seen)) } else { Progress::OnItsWay };
    (status, findings(of, plan, parts, &progress))
}

/// How far the release asked for is.
enum Progress {
    OnItsWay,
    /// It has come to run; these services do not run what is asked of them by now.
    Ran(Vec<ServiceName>),
}

fn findings(of: &Validated, plan: &Plan, parts: Parts, progress: &Progress) -> Vec<Finding> {
    let trouble = parts.first_trouble().cloned();
    let mut findings = headline(plan, trouble.as_ref());
    findings.push(degraded(plan, trouble.as_ref()));
    findings.push(Finding::no(ConditionType::Suspended, Reason::NotSuspended, "the store is not asked to sleep"));
    findings.push(upgraded(of, plan, progress, &parts.services));
    findings.extend([
        finding(ConditionType::DatabaseReady, parts.database, "the databases are ready"),
        finding(ConditionType::EventsReady, parts.events, "the broker and its topics are ready"),
        finding(ConditionType::CacheReady, parts.cache, cache_is_there(of)),
        finding(ConditionType::StorageReady, parts.storage, "the volumes of broker and cache have their size"),
        finding(ConditionType::ServicesReady, parts.services, "every service is ready"),
    ]);
    findings
}

fn cache_is_there(of: &Validated) -> &'static str {
    match of.cache {
        Cache::Managed(_) => "the cache is ready",
        Cache::External(_) => "the cache answers at the address in its Secret",
    }
}

/// Whether the store is ready, and whether it is on the way there.
fn headline(plan: &Plan, trouble: Option<&(Reason, String)>) -> Vec<Finding> {
    let (ready, progressing) = (ConditionType::Ready, ConditionType::Progressing);
    let running = &plan.course.release.version;
    match (trouble, taken_back(plan)) {
        (None, None) => vec![
            Finding::yes(ready, Reason::AllReady, format!("version {running} runs and every part is ready")),
            Finding::no(progressing, Reason::Settled, "nothing is under way"),
        ],
        // What the spec asks for does not run, so the store is not as described, though every part works.
        (None, Some(message)) => vec![
            Finding::no(ready, Reason::UpgradeRolledBack, message.clone()),
            Finding::no(progressing, Reason::UpgradeRolledBack, message),
        ],
        (Some((reason, message)), _) if reason.is_failure() => {
            vec![Finding::no(ready, *reason, message.clone()), Finding::no(progressing, *reason, message.clone())]
        }
        (Some((_, message)), Some(_)) => {
            let bad = plan.course.taken_back.as_ref();
            let good = bad.map(|bad| names_of(bad, &plan.course.release).1).unwrap_or_default();
            let message = format!("{good} comes back: {message}");
            vec![
                Finding::no(ready, Reason::RollingBack, message.clone()),
                Finding::yes(progressing, Reason::RollingBack, message),
            ]
        }
        (Some((reason, message)), None) => {
            vec![Finding::no(ready, *reason, message.clone()), Finding::yes(progressing, *reason, message.clone())]
        }
    }
}

/// Whether someone should look, though shoppers may notice nothing.
fn degraded(plan: &Plan, trouble: Option<&(Reason, String)>) -> Finding {
    let condition = ConditionType::Degraded;
    match (trouble.filter(|(reason, _)| reason.is_failure()), taken_back(plan)) {
        (Some((reason, message)), _) => Finding::yes(condition, *reason, message.clone()),
        (None, Some(message)) => Finding::yes(condition, Reason::UpgradeRolledBack, message),
        (None, None) => Finding::no(condition, Reason::AllReady, "nothing needs a hand"),
    }
}

fn taken_back(plan: &Plan) -> Option<String> {
    let record = plan.course.taken_back.as_ref()?;
    let (bad, good) = names_of(record, &plan.course.release);
    Some(format!(
        "{bad} was taken back and {good} runs, because {}: set a version that works, or change what kept this one from \
         starting, and it is tried again",
        record.message.as_deref().unwrap_or("it could not be rolled out"),
    ))
}

/// What to call an upgrade and another release, so that they can be told apart.
pub(super) fn names_of(record: &UpgradeRecord, release: &Release) -> (String, String) {
    let differ = |[one, other]: [&str; 2]| one != other;
    let (versions, images) = ([&*record.to, &*release.version], [&*record.image, &*release.image]);
    let tags = images.map(image_tag);
    let [one, other] = if differ(versions) {
        versions.map(|version| format!("version {version}"))
    } else if differ(tags) {
        tags.map(|tag| format!("version {} with the image tag {tag}", release.version))
    } else {
        images.map(|image| format!("version {} with the image {image}", release.version))
    };
    (one, other)
}

fn finding(condition: ConditionType, verdict: Verdict, ready: &str) -> Finding {
    match verdict {
        Ok(()) => Finding::yes(condition, Reason::AllReady, ready),
        Err((reason, message)) => Finding::no(condition, reason, message),
    }
}

fn upgraded(of: &Validated, plan: &Plan, progress: &Progress, services: &Verdict) -> Finding {
    let condition = ConditionType::Upgraded;
    if let Some(message) = taken_back(plan) {
        return Finding::no(condition, Reason::UpgradeRolledBack, message);
    }
    if matches!(progress, Progress::Ran(behind) if behind.is_empty()) {
        return Finding::yes(condition, Reason::UpToDate, what_runs(of));
    }
    if let Some((reason, message)) = plan.failure() {
        return Finding::no(condition, reason, message);
    }
    if plan.migrated() {
        let message = match progress {
            Progress::OnItsWay => format!("version {} is being rolled out", of.version),
            Progress::Ran(behind) => format!("version {} runs, but not yet: {}", of.version, asked_of(of, behind)),
        };
        return match services {
            Err((reason, cause)) if reason.is_failure() => {
                Finding::no(condition, *reason, format!("{message}; {cause}"))
            }
            _ => Finding::no(condition, Reason::Upgrading, message),
        };
    }
    let (reason, message) = migrating(plan);
    Finding::no(condition, reason, message)
}

/// Services may have versions of their own.
fn what_runs(of: &Validated) -> String {
    let own =
        |(name, settings): (&ServiceName, &Service)| Some(format!("{} {}", name.as_str(), settings.version.as_ref()?));
    let own: Vec<String> = of.services.iter().filter_map(own).collect();
    match own.as_slice() {
        [] => format!("every service runs version {}", of.version),
        own => format!("every service runs version {}, or its own: {}", of.version, own.join(", ")),
    }
}

/// What these services are to run.
pub(super) fn asked_of(of: &Validated, services: &[ServiceName]) -> String {
    let asked = |name: &ServiceName| format!("{} {}", name.as_str(), image_tag(&of.image_of(*name)));
    services.iter().map(asked).collect::<Vec<_>>().join(", ")
}

fn services(of: &Validated, seen: &Seen) -> Vec<ServiceStatus> {
    let running = ServiceName::ALL.into_iter().filter(|name| of.services.contains_key(name));
    let mut services: Vec<ServiceStatus> = running
        .map(|name| {
            let status = seen.services.get(&name).and_then(|service| service.status.as_ref());
            ServiceStatus {
                name: name.as_str().to_owned(),
                version: status.and_then(|status| status.version.clone()),
                ready: status.map_or(0, |status| status.ready_replicas),
                desired: status.map_or(0, |status| status.desired_replicas),
            }
        })
        .collect();
    services.sort_by(|one, other| one.name.cmp(&other.name));
    services
}

fn endpoints(of: &Validated, seen: &Seen) -> Option<Endpoints> {
    let gateway = seen.services.get(&ServiceName::Gateway).and_then(|service| service.status.as_ref());
    of.services.contains_key(&ServiceName::Gateway).then(|| Endpoints {
        api: format!("http://{}.{}.svc:8080", of.names.service(ServiceName::Gateway), of.namespace),
        external: gateway.and_then(|status| status.endpoint.clone()),
        node_port: of.exposure.node_port.as_ref().map(|exposure| exposure.port),
    })
}

#[cfg(test)]
mod tests;
