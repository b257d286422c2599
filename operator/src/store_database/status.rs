//! What a database's status says. Pure.

use api::{ConditionType, DatabaseStatus, Reason, StoreDatabaseStatus};
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{
    rotate::Progress,
    sql::{Identifier, Outcome},
    validate::{Mode, Validated},
};
use crate::{
    framework::{Finding, trouble_of},
    refused::Podless,
    store::sleeps,
};

/// The state of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
    /// It serves, as the resource describes it.
    Ready,
    /// It serves, but not yet as described.
    Changing(String),
    /// It does not serve.
    Down(Reason, String),
}

impl ServerState {
    /// The state of a managed server. `changed`: the StatefulSet was written just now, so what was seen of it is old.
    pub(super) fn of_managed<'a>(
        stateful_set: Option<&StatefulSet>,
        pods: impl IntoIterator<Item = &'a Pod>,
        changed: bool,
    ) -> Self {
        let Some(set) = stateful_set else {
            return Self::Down(Reason::ChildPending, "the StatefulSet of the server is being created".to_owned());
        };
        let status = set.status.as_ref();
        let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0) >= 1;
        let observed = status.and_then(|status| status.observed_generation) == set.metadata.generation;
        let updated = status.is_some_and(|status| status.current_revision == status.update_revision);
        if ready {
            return if observed && updated && !changed {
                Self::Ready
            } else {
                Self::Changing("the server is being replaced by a changed one".to_owned())
            };
        }
        match trouble_of(pods) {
            Some(trouble) => Self::Down(trouble.reason, trouble.message),
            None => Self::Down(Reason::PodsStarting, "the server is starting".to_owned()),
        }
    }

    /// The same state, unless its pod cannot even be made.
    pub(super) fn unless_refused(self, podless: Option<&Podless>) -> Self {
        match (self, podless.and_then(Podless::message)) {
            (Self::Down(Reason::PodsStarting, _), Some(message)) => Self::Down(Reason::PodsRefused, message),
            (state, _) => state,
        }
    }

    /// The state of a server that is to sleep.
    pub(super) fn of_suspended(stateful_set: Option<&StatefulSet>, changed: bool) -> Self {
        match stateful_set {
            Some(set) if changed || !sleeps(set) => {
                Self::Down(Reason::Suspending, "the server is shutting down, and its volume is kept".to_owned())
            }
            _ => Self::resting(),
        }
    }

    /// The state of a server that sleeps, or that is left alone while the store does.
    pub(super) fn resting() -> Self {
        Self::Down(Reason::Suspended, "the store sleeps, and the databases are kept".to_owned())
    }

    /// Whether it can be asked for something.
    pub(super) fn serves(&self) -> bool {
        !matches!(self, Self::Down(..))
    }
}

/// The status without its conditions, and what was found for them. `outcome` is what became of the databases, where the
/// server could be asked.
pub(super) fn status(
    validated: &Validated,
    server: &ServerState,
    outcome: Option<&Outcome>,
    rotations: &Progress,
) -> (StoreDatabaseStatus, Vec<Finding>) {
    let databases = validated.logins.iter().map(|login| DatabaseStatus {
        name: validated.names.in_spec(&login.name).to_owned(),
        ready: outcome.and_then(|outcome| outcome.get(&login.name)).is_some_and(Result::is_ok),
        secret_name: validated.names.login_secret(&login.name),
        username: Some(login.role().as_str().to_owned()),
        identity: identity(validated, &login.name, outcome),
        password_rotated: validated.credentials.get(&login.name).and_then(|held| held.rotated).map(Time),
    });
    let status = StoreDatabaseStatus { databases: databases.collect(), ..StoreDatabaseStatus::default() };
    let mut findings = vec![server_finding(validated, server)];
    findings.extend(storage_finding(validated));
    let ready = readiness(validated, &findings, outcome);
    findings.insert(0, ready);
    findings.extend(outcome.map(|_| rotation_finding(rotations)));
    (status, findings)
}

/// What is known of a database does not get lost while its server is away.
fn identity(validated: &Validated, name: &Identifier, outcome: Option<&Outcome>) -> Option<String> {
    let found = outcome.and_then(|outcome| outcome.get(name)).and_then(|result| result.as_ref().ok());
    let found = found.and_then(|found| found.identity.clone());
    found.or_else(|| validated.identities.get(validated.names.in_spec(name)).cloned())
}

fn server_finding(validated: &Validated, server: &ServerState) -> Finding {
    let condition = ConditionType::ServerReady;
    match server {
        ServerState::Ready => Finding::yes(
            condition,
            Reason::AllReady,
            format!("the server at {}:{} accepts connections", validated.host, validated.port),
        ),
        ServerState::Changing(message) => Finding::no(condition, Reason::RollingOut, message),
        ServerState::Down(reason, message) => Finding::no(condition, *reason, message),
    }
}

fn rotation_finding(rotations: &Progress) -> Finding {
    let condition = ConditionType::Rotating;
    if rotations.under_way() {
        return Finding::yes(condition, Reason::RotatingPasswords, rotations.waits.join("; "));
    }
    if !rotations.blocked.is_empty() {
        return Finding::no(condition, Reason::NameTaken, rotations.blocked.join("; "));
    }
    Finding::no(condition, Reason::Settled, "no password is being replaced")
}

fn storage_finding(validated: &Validated) -> Option<Finding> {
    let Mode::Managed(managed) = &validated.mode else {
        return None;
    };
    let (condition, holds, reason, message) = managed.claim.state.condition(&validated.names.volume());
    Some(if holds { Finding::yes(condition, reason, message) } else { Finding::no(condition, reason, message) })
}

/// Ready is what every part is; else it repeats the first that is not, with its cause.
fn readiness(validated: &Validated, parts: &[Finding], outcome: Option<&Outcome>) -> Finding {
    let condition = ConditionType::Ready;
    // Without its class there is no volume, and without that no pod.
    let cause = parts.iter().find(|part| part.reason == Reason::StorageClassMissing);
    if let Some(part) = cause.or_else(|| parts.iter().find(|part| !part.holds)) {
        return Finding::no(condition, part.reason, part.message.clone());
    }
    let Some(outcome) = outcome else {
        return Finding::no(condition, Reason::Reconciling, "the databases have not been looked at yet");
    };
    let conflicts: Vec<String> =
        outcome.values().filter_map(|result| result.as_ref().err()).map(ToString::to_string).collect();
    if !conflicts.is_empty() {
        return Finding::no(condition, Reason::NameTaken, conflicts.join("; "));
    }
    let message = match validated.logins.len() {
        1 => "1 database is ready".to_owned(),
        number => format!("{number} databases are ready"),
    };
    Finding::yes(condition, Reason::AllReady, message)
}
