//! Telling users, through Kubernetes events, what happened to their objects.

use api::Reason;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::{chain, context::OPERATOR};

/// Publishes events.
#[derive(Clone)]
pub(crate) struct Events(Recorder);

impl Events {
    pub(super) fn new(client: Client) -> Self {
        Self(Recorder::new(client, Reporter { controller: OPERATOR.to_owned(), instance: None }))
    }

    /// Publishes an event about an object. A failure to do so is logged: nothing depends on events.
    pub(crate) async fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, reason: Reason, note: &str) {
        let event = Event {
            type_: if reason.is_failure() { EventType::Warning } else { EventType::Normal },
            reason: reason.as_str().to_owned(),
            note: Some(shortened(note)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.0.publish(&event, &object.object_ref(&())).await {
            tracing::warn!(error = chain(&error), reason = reason.as_str(), "cannot publish an event");
        }
    }
}

/// Notes are limited to 1024 bytes by the API.
fn shortened(note: &str) -> String {
    let end = note.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 1000).last().unwrap_or(0);
    if end < note.len() { format!("{}…", &note[..end]) } else { note.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn long_notes_are_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert!(shortened(&"ä".repeat(900)).len() <= 1024);
    }
}
