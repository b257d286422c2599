//! The `CloudEvents` 1.0 envelope.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use types::EventId;

use crate::Event;

/// An event in its envelope, as it lies on the topic (`CloudEvents` 1.0, JSON format, structured mode).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent<E> {
    /// The version of the envelope: `1.0`.
    specversion: String,
    /// What consumers remember to take each event once.
    pub id: EventId,
    /// `/services/<name>` of the service that emitted it.
    pub source: String,
    /// The id of the aggregate it happened to.
    pub subject: String,
    /// When it happened, by the database's clock where it was committed.
    pub time: Timestamp,
    /// Always `application/json`.
    datacontenttype: String,
    /// W3C trace context of the request that caused it (`CloudEvents` distributed tracing extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The type and the data.
    #[serde(flatten)]
    pub event: E,
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A type this release does not know, from a newer one: to be skipped.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// Not an event, or not with the data its type promises.
    #[error("malformed event")]
    Malformed(#[source] serde_json::Error),
}

impl<E: Event> CloudEvent<E> {
    /// `event` in an envelope of its own.
    pub fn new(event: E, time: Timestamp, traceparent: Option<String>) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id: EventId::new(),
            source: format!("/services/{}", E::SOURCE),
            subject: event.key(),
            time,
            datacontenttype: "application/json".to_owned(),
            traceparent,
            event,
        }
    }

    /// The message's value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("events are plain data with text keys")
    }

    /// Reads a message's value.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct TypeOnly {
            r#type: String,
            #[serde(rename = "data")]
            _data: IgnoredAny,
        }
        let TypeOnly { r#type, .. } = serde_json::from_slice(value).map_err(DecodeError::Malformed)?;
        if !E::TYPES.contains(&r#type.as_str()) {
            return Err(DecodeError::UnknownType(r#type));
        }
        serde_json::from_slice(value).map_err(DecodeError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use types::UserId;

    use super::*;
    use crate::{UserDeleted, UserEvent};

    fn sample() -> CloudEvent<UserEvent> {
        let event = UserEvent::Deleted(UserDeleted { user_id: UserId::new() });
        CloudEvent::new(event, Timestamp::UNIX_EPOCH, None)
    }

    #[test]
    fn an_event_survives_the_wire() {
        let event = sample();
        assert_eq!(CloudEvent::decode(&event.encode()).unwrap(), event);
    }

    #[test]
    fn a_type_of_a_newer_release_is_told_from_a_broken_message() {
        let newer = String::from_utf8(sample().encode()).unwrap().replace("deleted.v1", "merged.v1");
        assert!(matches!(
            CloudEvent::<UserEvent>::decode(newer.as_bytes()),
            Err(DecodeError::UnknownType(name)) if name == "dev.greencommerce.user.merged.v1"
        ));
        assert!(matches!(CloudEvent::<UserEvent>::decode(b"{}"), Err(DecodeError::Malformed(_))));
        assert!(matches!(CloudEvent::<UserEvent>::decode(b"\xff"), Err(DecodeError::Malformed(_))));
    }
}
