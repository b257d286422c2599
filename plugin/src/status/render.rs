//! The status as tables. Pure.

use std::fmt::Write as _;

use api::{Reason, UpgradeResult};
use jiff::Timestamp;

use super::view::{Part, View};
use crate::{
    duration::{age, show},
    table::table,
};

/// The status, for people.
pub(crate) fn render(view: &View, now: Timestamp) -> String {
    let sections =
        [head(view), conditions(view, now), parts(view), history(view, now), why(view, now), unreadable(view)];
    sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
}

fn head(view: &View) -> String {
    let mut text = format!("Store {}/{}\n", view.namespace, view.name);
    let version = match view.version.as_deref() {
        Some(version) if version == view.wanted_version => version.to_owned(),
        Some(version) => format!("{version} ({} is asked for)", view.wanted_version),
        None => format!("none yet ({} is asked for)", view.wanted_version),
    };
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<10}{value}");
    };
    field("Version", &version);
    field("Ready", &format!("{} ({})", view.ready, view.reason));
    field("Message", &view.message);
    if view.suspend {
        field("Suspend", "asked for: wake it with `kubectl greencommerce resume`");
    }
    if let Some(rotation) = &view.rotation {
        let message = rotation.message.split_whitespace().collect::<Vec<_>>().join(" ");
        let how = match Reason::parse(&rotation.reason) {
            Some(Reason::RotatingPasswords) => "are being replaced".to_owned(),
            _ => format!("cannot be replaced ({})", rotation.reason),
        };
        field("Passwords", &format!("{how}: {message}"));
    }
    if let Some(endpoints) = &view.endpoints {
        if let Some(external) = &endpoints.external {
            field("Endpoint", external);
        }
        field("API", &endpoints.api);
        if let Some(port) = endpoints.node_port {
            field("Node port", &port.to_string());
        }
    }
    text
}

fn conditions(view: &View, now: Timestamp) -> String {
    let rows: Vec<[String; 5]> = view
        .conditions
        .iter()
        .map(|condition| {
            let old = condition.observed_generation != Some(view.generation);
            let message = condition.message.split_whitespace().collect::<Vec<_>>().join(" ");
            [
                condition.type_.clone(),
                condition.status.clone(),
                condition.reason.clone(),
                age(now, condition.last_transition_time.0),
                if old { format!("(of an older generation) {message}") } else { message },
            ]
        })
        .collect();
    table(["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"], &rows)
}

fn parts(view: &View) -> String {
    let rows: Vec<[String; 6]> = view.parts.iter().map(part).collect();
    table(["PART", "NAME", "READY", "PODS", "VERSION", "REASON"], &rows)
}

fn part(part: &Part) -> [String; 6] {
    [
        part.kind.to_owned(),
        part.name.clone(),
        part.ready.clone(),
        part.pods.map(|pods| format!("{}/{}", pods.ready, pods.desired)).unwrap_or_default(),
        part.version.clone().unwrap_or_default(),
        part.reason.clone(),
    ]
}

fn history(view: &View, now: Timestamp) -> String {
    let rows: Vec<[String; 6]> = view
        .history
        .iter()
        .map(|record| {
            let took = record.ended.as_ref().map(|ended| ended.0.duration_since(record.started.0).unsigned_abs());
            [
                record.from.clone().unwrap_or_default(),
                record.to.clone(),
                result(record.result).to_owned(),
                format!("{} ago", age(now, record.started.0)),
                took.map(show).unwrap_or_default(),
                [record.reason.as_deref(), record.message.as_deref()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(": "),
            ]
        })
        .collect();
    table(["FROM", "TO", "RESULT", "STARTED", "TOOK", "WHY"], &rows)
}

fn result(result: UpgradeResult) -> &'static str {
    match result {
        UpgradeResult::Running => "Running",
        UpgradeResult::Succeeded => "Succeeded",
        UpgradeResult::RolledBack => "RolledBack",
        UpgradeResult::Failed => "Failed",
        UpgradeResult::Superseded => "Superseded",
    }
}

fn why(view: &View, now: Timestamp) -> String {
    let mut text = String::new();
    if !view.causes.is_empty() {
        text.push_str("Why it is not ready\n");
    }
    for cause in &view.causes {
        let _ = writeln!(text, "  {} ({}): {}", cause.condition, cause.reason, cause.message);
    }
    if !view.warnings.is_empty() {
        let _ = writeln!(text, "Warnings of the last hour");
    }
    for warning in &view.warnings {
        let ago = age(now, warning.last);
        let _ = writeln!(text, "  {ago} ago, {} ({}): {}", warning.object, warning.reason, warning.message);
    }
    text
}

fn unreadable(view: &View) -> String {
    let lines = view.unreadable.iter().map(|note| format!("  {note}\n"));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("Not shown, because it could not be read\n{lines}") }
}
