//! An API server for tests: it answers what it is told to, refuses everything else, and remembers every call.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// The calls that came: method and path with its query, and the body.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<(String, Value)>>>);

impl Calls {
    /// Those that change something.
    pub(crate) fn writes(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap().iter().filter(|(line, _)| !line.starts_with("GET ")).cloned().collect()
    }
}

/// The beginning of calls, and what is said to them.
pub(crate) type Answer = (&'static str, Value);

/// A cluster whose API server gives each answer to the calls that begin with its line. An answer that is a text is sent as
/// it is.
pub(crate) fn cluster(answers: Vec<Answer>) -> (Cluster, Calls) {
    changing(answers, Vec::new())
}

/// A cluster whose API server gives `after` before all others once something was written.
pub(crate) fn changing(answers: Vec<Answer>, after: Vec<Answer>) -> (Cluster, Calls) {
    let calls = Calls::default();
    let (answers, after, seen) = (Arc::new(answers), Arc::new(after), calls.clone());
    let server = tower::service_fn(move |request: Request<Body>| {
        let after = if seen.writes().is_empty() { Arc::default() } else { after.clone() };
        answer([after, answers.clone()], seen.clone(), request)
    });
    (Cluster { client: Client::new(server, "shop"), namespace: "shop".to_owned() }, calls)
}

async fn answer(
    answers: [Arc<Vec<Answer>>; 2],
    calls: Calls,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let bytes = request.into_body().collect_bytes().await.unwrap_or_default();
    calls.0.lock().unwrap().push((line.clone(), serde_json::from_slice(&bytes).unwrap_or(Value::Null)));
    let forbidden = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no"});
    let (status, body) =
        match answers.iter().flat_map(|answers| answers.iter()).find(|(begin, _)| line.starts_with(begin)) {
            Some((_, Value::String(text))) => (200, text.clone()),
            Some((_, answer)) => (200, answer.to_string()),
            None => (403, forbidden.to_string()),
        };
    Ok(Response::builder().status(status).body(Body::from(body.into_bytes())).unwrap())
}

/// A list of objects.
pub(crate) fn list(kind: &str, items: &[Value]) -> Value {
    json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
}
