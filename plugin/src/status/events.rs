//! Which events tell something about a store. Pure.

use std::collections::HashSet;

use api::ServiceName;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use serde::Serialize;

/// Older warnings say nothing about the present.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// More than this many warnings are not read.
const MOST: usize = 10;

/// A warning about a store or what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Warning {
    /// Kind and name of what it is about.
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// When it was last seen.
    pub(crate) last: Timestamp,
}

/// The warnings of the last hour, the newest first, each once.
pub(super) fn warnings(events: &[Event], store: &str, services: &[String], now: Timestamp) -> Vec<Warning> {
    let belongs = Belongs::to(store, services);
    let mut found: Vec<Warning> = events.iter().filter_map(|event| warning(event, &belongs)).collect();
    found.retain(|warning| now.duration_since(warning.last) <= RECENT);
    found.sort_by_key(|warning| std::cmp::Reverse(warning.last));
    let mut seen = HashSet::new();
    found.retain(|warning| seen.insert((warning.object.clone(), warning.reason.clone(), warning.message.clone())));
    found.truncate(MOST);
    found
}

fn warning(event: &Event, belongs: &Belongs) -> Option<Warning> {
    let regarding = event.regarding.as_ref()?;
    let name = regarding.name.as_deref()?;
    if event.type_.as_deref() != Some("Warning") || !belongs.owns(name) {
        return None;
    }
    Some(Warning {
        object: format!("{} {name}", regarding.kind.as_deref().unwrap_or_default()),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.note.clone().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
        last: last_seen(event)?,
    })
}

/// When the event was last seen; each reporter fills other fields.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let deprecated = event.deprecated_last_timestamp.as_ref().map(|time| time.0);
    let once = event.event_time.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    series.or(deprecated).or(once).or(made)
}

/// Tells by its name whether an object belongs to a store: another store's name may begin with this one's.
pub(crate) struct Belongs {
    store: String,
    stems: Vec<String>,
}

impl Belongs {
    /// `services`: names of the StoreServices that are known.
    pub(crate) fn to(store: &str, services: &[String]) -> Self {
        let parts = ["kafka", "cache", "postgres"].into_iter();
        let parts = parts.chain(ServiceName::ALL.into_iter().map(ServiceName::as_str));
        let topics = ["user-events", "catalog-events", "inventory-events", "order-events", "dead-letters"];
        let stems = parts.chain(topics).map(|part| format!("{store}-{part}")).chain(services.iter().cloned());
        Self { store: store.to_owned(), stems: stems.collect() }
    }

    /// The store, one of its parts, or something named after a part: a replica set, a pod, a claim.
    pub(crate) fn owns(&self, name: &str) -> bool {
        let name = name.strip_prefix("data-").unwrap_or(name);
        let after =
            |stem: &String| name.strip_prefix(stem.as_str()).is_some_and(|end| end.is_empty() || end.starts_with('-'));
        name == self.store || self.stems.iter().any(after)
    }
}
