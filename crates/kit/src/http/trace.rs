//! What ties a request to what it causes: its id and its W3C trace context.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, request::Parts},
};
use uuid::Uuid;

/// The header of the request's id, echoed in the answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header of the trace context (W3C Trace Context, section 3.2).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id of a request: the client's, where it sent a plausible one, else a new one.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// The trace a request belongs to.
#[derive(Debug, Clone, Default)]
pub struct TraceContext(Option<String>);

impl RequestId {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let plausible = |text: &&str| {
            (1..=128).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plausible);
        Self(sent.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    }
}

impl TraceContext {
    /// The `traceparent` to hand on, where the client sent one.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_traceparent(self) -> Option<String> {
        self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TraceContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let sent = parts.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        Ok(Self(sent.filter(|text| is_traceparent(text)).map(str::to_owned)))
    }
}

fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = text.split('-');
    let lengths = [2, 32, 16, 2];
    lengths.into_iter().all(|length| parts.next().is_some_and(|part| hex(part, length))) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_is_handed_on() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(!is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"));
        assert!(!is_traceparent("00-zaf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    }
}
