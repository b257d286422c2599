//! How a namespace looks, for the message of a test that waited in vain.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{EVENTS, PODS, STORE_DATABASES, STORE_SERVICES, STORE_TOPICS, STORES, Space};

const LATEST_EVENTS: usize = 25;
const LOG_LINES: &str = "--tail=30";

impl Space {
    /// Its stores and their parts, its pods, its latest events, and the logs of pods that are not ready. Never fails: what
    /// cannot be read is said in its place.
    pub async fn diagnosis(&self) -> String {
        let mut text = format!("--- namespace {}\n", self.name());
        for resource in [STORES, STORE_DATABASES, STORE_TOPICS, STORE_SERVICES] {
            for object in self.list(resource).await.unwrap_or_default() {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let _ = writeln!(text, "{}/{name} {}", resource.plural(), conditions(&object));
            }
        }
        let pods = self.list(PODS).await.unwrap_or_default();
        for pod in &pods {
            let _ = writeln!(text, "{}", pod_line(pod));
        }
        text.push_str("--- events\n");
        for event in latest(self.list(EVENTS).await.unwrap_or_default()) {
            let _ = writeln!(text, "{}", event_line(&event));
        }
        for pod in pods.iter().filter(|pod| !is_ready(pod)) {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let logs = self
                .kubectl()
                .attempt(["logs", name, "--all-containers", LOG_LINES, "--namespace", self.name()], "")
                .await
                .map_or_else(|error| error.to_string(), |outcome| outcome.stdout + &outcome.stderr);
            let _ = writeln!(text, "--- logs of {name}\n{}", logs.trim());
        }
        text
    }
}

/// Whether a pod's condition `Ready` is true.
#[must_use]
pub fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True")
}

/// A condition of an object, by its type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Conditions in one line: `Ready=False(ChildNotReady: …)@2`.
pub(crate) fn conditions(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words: Vec<String> = conditions
        .iter()
        .map(|condition| {
            format!(
                "{}={}({}: {})@{}",
                text(&condition["type"]),
                text(&condition["status"]),
                text(&condition["reason"]),
                text(&condition["message"]),
                condition["observedGeneration"],
            )
        })
        .collect();
    format!("generation {} {}", object["metadata"]["generation"], words.join(" "))
}

fn pod_line(pod: &Value) -> String {
    let states: Vec<String> = pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|status| format!("{} restarts, {}", status["restartCount"], status["state"]))
        .collect();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let ready = if is_ready(pod) { "ready" } else { "not ready" };
    format!("pod {name} {phase} {ready} on {}: {}", pod["spec"]["nodeName"], states.join("; "))
}

fn latest(mut events: Vec<Value>) -> Vec<Value> {
    let at = |event: &Value| event["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
    events.sort_by_key(at);
    events.split_off(events.len().saturating_sub(LATEST_EVENTS))
}

fn event_line(event: &Value) -> String {
    let regarding = &event["regarding"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} {}/{} {}: {}",
        text(&event["metadata"]["creationTimestamp"]),
        text(&regarding["kind"]),
        text(&regarding["name"]),
        text(&event["reason"]),
        text(&event["note"]),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_told_with_the_generation_they_speak_of() {
        let object = json!({
            "metadata": {"generation": 3},
            "status": {"conditions": [
                {"type": "Ready", "status": "False", "reason": "ChildNotReady", "message": "cart", "observedGeneration": 2}
            ]},
        });
        assert_eq!(conditions(&object), "generation 3 Ready=False(ChildNotReady: cart)@2");
        assert!(!is_ready(&object));
    }

    #[test]
    fn the_latest_events_are_kept_in_order() {
        let event =
            |second: usize| json!({"metadata": {"creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")}});
        let kept = latest((0..40).rev().map(event).collect());
        assert_eq!(kept.len(), LATEST_EVENTS);
        assert_eq!(kept.last(), Some(&event(39)));
    }
}
