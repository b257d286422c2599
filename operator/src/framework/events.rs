//! Telling users, through Kubernetes events, what happened to their objects.

use std::sync::{Arc, Mutex};

use api::Reason;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::{Gate, chain, context::OPERATOR};

/// Events after which a recorder is done with. It keeps every event whole for six minutes, so as to count up one that comes
/// again: with hundreds of stores that would be most of what this process holds.
const REMEMBERED: u32 = 64;

/// Publishes events.
#[derive(Clone)]
pub(crate) struct Events {
    client: Client,
    current: Arc<Mutex<Current>>,
    gate: Gate,
}

/// The recorder that is used now, and how many events it was given.
struct Current {
    recorder: Recorder,
    events: u32,
}

impl Current {
    fn new(client: Client) -> Self {
        Self {
            recorder: Recorder::new(client, Reporter { controller: OPERATOR.to_owned(), instance: None }),
            events: 0,
        }
    }
}

impl Events {
    pub(super) fn new(client: Client, gate: Gate) -> Self {
        Self { current: Arc::new(Mutex::new(Current::new(client.clone()))), client, gate }
    }

    /// The recorder for one more event.
    fn recorder(&self) -> Recorder {
        let mut current = self.current.lock().expect("no code panics while holding this lock");
        if current.events == REMEMBERED {
            *current = Current::new(self.client.clone());
        }
        current.events += 1;
        current.recorder.clone()
    }

    /// Publishes an event about an object, if this process leads. A failure to do so is logged: nothing depends on events.
    pub(crate) async fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, reason: Reason, note: &str) {
        self.publish_about(&object.object_ref(&()), reason, note).await;
    }

    /// Publishes an event about what a reference names.
    pub(super) async fn publish_about(&self, object: &ObjectReference, reason: Reason, note: &str) {
        if !self.gate.is_open() {
            return;
        }
        let event = Event {
            type_: if reason.is_failure() { EventType::Warning } else { EventType::Normal },
            reason: reason.as_str().to_owned(),
            note: Some(shortened(note)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder().publish(&event, object).await {
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
    use super::*;
    use crate::framework::scenario::{Scenario, told};

    #[test]
    fn long_notes_are_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert!(shortened(&"ä".repeat(900)).len() <= 1024);
    }

    /// An event that is remembered is counted up by a patch; here each is made anew, the first one again as well.
    #[tokio::test]
    async fn an_event_is_forgotten_after_many_others() {
        let objects: Vec<String> = (0..REMEMBERED).chain([0]).map(|number| number.to_string()).collect();
        let (scenario, context, _) = Scenario::of(objects.iter().map(|_| told("shop")).collect());
        for uid in objects {
            let object = ObjectReference { namespace: Some("shop".to_owned()), uid: Some(uid), ..Default::default() };
            context.events.publish_about(&object, Reason::BrokerUnreachable, "no answer").await;
        }
        scenario.finish();
    }
}
