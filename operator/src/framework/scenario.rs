//! A strict API server for tests: it answers the calls it expects, in their order, and fails on any other.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::http::{Request, Response};
use kube::{
    Resource,
    client::{Body, ClientBuilder},
};
use serde_json::{Value, json};

pub(crate) use super::cache::Writers;
use super::{Cache, Context, Gate, TraceWrites};

/// A call that is expected, and its answer.
pub(crate) struct Call {
    /// Method and path with its query, for example `GET /api/v1/namespaces/shop/secrets/admin`.
    line: String,
    status: u16,
    answer: Value,
}

impl Call {
    /// A call that succeeds.
    pub(crate) fn ok(line: impl Into<String>, answer: Value) -> Self {
        Self { line: line.into(), status: 200, answer }
    }

    /// Whether it is about this object.
    pub(crate) fn is_of(&self, path: &str) -> bool {
        self.line.split('?').next().is_some_and(|line| line.ends_with(path))
    }

    /// A call that is refused.
    pub(crate) fn refused(line: impl Into<String>, status: u16, message: &str) -> Self {
        let reason = match status {
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            422 => "Invalid",
            _ => "InternalError",
        };
        let answer = json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "code": status,
            "reason": reason,
        });
        Self { line: line.into(), status, answer }
    }
}

/// The calls by which an object that no watch has seen is made: it is asked for, is not there, and is applied.
pub(crate) fn made(path: &str) -> [Call; 2] {
    let name = path.rsplit('/').next().unwrap_or_default();
    let metadata = json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": name},
    });
    [
        Call::refused(format!("GET {path}"), 404, "not found"),
        Call::ok(format!("PATCH {path}?&force=true&fieldManager=greencommerce-operator"), metadata),
    ]
}

/// The call by which it is asked, before anything is deleted for an object, whether that is still described as it was.
/// `object` is what it is now.
pub(crate) fn still<K: Resource>(path: &str, object: &K) -> Call {
    let now = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object.meta()});
    Call::ok(format!("GET {path}"), now)
}

/// The call by which a status is written. `object` is what the API server answers.
pub(crate) fn reported(path: &str, object: Value) -> Call {
    Call::ok(format!("PATCH {path}/status?&force=true&fieldManager=greencommerce-operator"), object)
}

/// The call by which an event is published.
pub(crate) fn told(namespace: &str) -> Call {
    let event = json!({"metadata": {"name": "event"}, "eventTime": null});
    Call::ok(format!("POST /apis/events.k8s.io/v1/namespaces/{namespace}/events?"), event)
}

/// The calls that have not come yet, and what was wrong.
pub(crate) struct Scenario(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    expected: VecDeque<Call>,
    /// Bodies of the calls that came.
    bodies: Vec<Value>,
    surprises: Vec<String>,
}

impl Scenario {
    /// A context whose API server expects these calls, and what fills its cache.
    pub(crate) fn of(calls: Vec<Call>) -> (Self, Context, Writers) {
        let state = Arc::new(Mutex::new(State { expected: calls.into(), ..State::default() }));
        let serving = state.clone();
        let server = tower::service_fn(move |request: Request<Body>| answer(serving.clone(), request));
        let (cache, writers) = Cache::new();
        let client = ClientBuilder::new(server, "default").with_layer(&TraceWrites).build();
        (Self(state), Context::new(client, Arc::new(cache), Gate::open()), writers)
    }

    /// Fails if a call came that was not expected, or one did not come. Gives the bodies of those that came.
    pub(crate) fn finish(self) -> Vec<Value> {
        let mut state = self.0.lock().unwrap();
        let missing: Vec<String> = state.expected.drain(..).map(|call| call.line).collect();
        assert!(state.surprises.is_empty(), "unexpected calls: {:?}", state.surprises);
        assert!(missing.is_empty(), "calls that did not come: {missing:?}");
        std::mem::take(&mut state.bodies)
    }
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let bytes = request.into_body().collect_bytes().await.unwrap_or_default();
    let mut state = state.lock().unwrap();
    let (status, answer) = match state.expected.pop_front() {
        Some(call) if call.line == line => {
            state.bodies.push(serde_json::from_slice(&bytes).unwrap_or(Value::Null));
            (call.status, call.answer)
        }
        other => {
            let instead = other.map(|call| call.line);
            state.surprises.push(format!("{line} instead of {instead:?}"));
            (500, json!({"message": "not in the scenario"}))
        }
    };
    let body = Body::from(answer.to_string().into_bytes());
    Ok(Response::builder().status(status).header("content-type", "application/json").body(body).unwrap())
}
