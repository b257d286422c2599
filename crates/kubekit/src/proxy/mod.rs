//! A reverse proxy between an operator and the API server that puts faults between the two, from outside: the operator
//! knows nothing of it.

mod judge;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use kube::Client;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{net::TcpListener, task::JoinSet};

use self::judge::{Asked, Class, Judge, Verdict};
pub use self::judge::{Crash, Faults, Refusal};
use crate::{Cluster, Operator};

/// More than any object the API server takes.
const LONGEST_BODY: usize = 16 << 20;

/// A proxy on a loopback port. It ends with the runtime of its test.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

/// What all connections know.
struct Shared {
    upstream: Client,
    judge: Mutex<Judge>,
    /// Changes when every watch is to break.
    cut: tokio::sync::watch::Sender<u64>,
    under_way: Mutex<JoinSet<()>>,
}

impl Proxy {
    /// A proxy without faults.
    ///
    /// # Panics
    ///
    /// When no port is to be had.
    pub async fn start(cluster: &Cluster) -> Self {
        let control_plane = cluster.control_plane();
        let upstream = Client::try_from(control_plane.config(None)).expect("a client can be made");
        let cut = tokio::sync::watch::Sender::new(0);
        let shared = Arc::new(Shared { upstream, judge: Mutex::default(), cut, under_way: Mutex::new(JoinSet::new()) });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new().fallback(handle).with_state(shared.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("the proxy serves") });
        Self { url: format!("http://{address}"), shared, _server: server }
    }

    /// Where operators reach it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on these faults and no others.
    pub fn set(&self, faults: Faults) {
        self.shared.judge().faults = faults;
    }

    /// No more faults. Watches that are open go on; what they lost is lost.
    pub fn heal(&self) {
        self.set(Faults::default());
    }

    /// Breaks every watch that is open.
    pub fn cut_watches(&self) {
        self.shared.cut.send_modify(|generation| *generation += 1);
    }

    /// Breaks every watch, and says of each that it cannot be resumed: 410 Gone.
    pub fn expire_watches(&self) {
        self.shared.judge().expire();
        self.cut_watches();
    }

    /// Kills the operator at one of its next writes, counted from now.
    pub fn crash(&self, crash: Crash, operator: &Operator) {
        self.shared.judge().plan(crash, operator.identity().header(), operator.pid());
    }

    /// Kills nobody any more.
    pub fn spare(&self) {
        self.shared.judge().spare();
    }

    /// Whether the planned crash has come.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.shared.judge().has_crashed()
    }

    /// Writes that operators tried so far, refused ones included.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.shared.judge().writes
    }

    /// Requests that were refused so far by a [`Refusal`].
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.shared.judge().refused
    }

    /// Watch events that were lost so far.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.shared.judge().lost
    }

    /// Asks for every list that an operator asked for so far, and keeps the answers.
    ///
    /// # Panics
    ///
    /// When the API server does not answer.
    pub async fn remember_lists(&self, cluster: &Cluster) {
        let admin = cluster.admin();
        let lists: Vec<String> = self.shared.judge().lists.iter().cloned().collect();
        for list in lists {
            let request = axum::http::Request::get(&list).body(Vec::new()).expect("the request is well formed");
            let answer = admin.request_text(request).await;
            // A kind that the cluster does not know has no past.
            if matches!(&answer, Err(kube::Error::Api(status)) if status.code == 404) {
                continue;
            }
            let answer = answer.expect("a list is answered");
            self.shared.judge().remembered.insert(list, Bytes::from(answer));
        }
    }

    /// Answers each list once more as it was remembered.
    pub fn serve_stale_lists(&self) {
        let mut judge = self.shared.judge();
        judge.stale = judge.remembered.clone();
    }

    /// Lists that are still to be answered as they were remembered.
    #[must_use]
    pub fn stale_lists_left(&self) -> usize {
        self.shared.judge().stale.len()
    }
}

impl Shared {
    fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().expect("no code panics while holding this lock")
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("judge", &self.judge).finish_non_exhaustive()
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asked = Asked::of(&request);
    let verdict = shared.judge().judge(&asked);
    match verdict {
        Verdict::Forward if asked.class == Class::Watch => watch::forward(shared, request).await,
        Verdict::Forward => forward(shared, request).await,
        Verdict::ForwardAndKill(pid) => {
            // The write is done, and nobody hears of it.
            forward(shared, request).await;
            end(pid);
            StatusCode::BAD_GATEWAY.into_response()
        }
        Verdict::Kill(pid) => {
            end(pid);
            StatusCode::BAD_GATEWAY.into_response()
        }
        Verdict::Refuse(code) => refusal(code),
        Verdict::Expired => watch::expired(),
        Verdict::Answer(bytes) => json(bytes),
    }
}

/// What has been passed on is done to its end, also when its caller is killed meanwhile: the API server would otherwise
/// sometimes do it and not say so in its log.
async fn forward(shared: Arc<Shared>, request: Request) -> Response {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let (passing, under_way) = (shared.clone(), &shared.under_way);
    {
        let mut under_way = under_way.lock().expect("no code panics while holding this lock");
        while under_way.try_join_next().is_some() {}
        under_way.spawn(async move {
            // The caller may be gone.
            let _ = answer.send(pass_on(&passing, request).await);
        });
    }
    answered.await.unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

async fn pass_on(shared: &Shared, request: Request) -> Response {
    match upstream(shared, request).await {
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            match body.collect_bytes().await {
                Ok(bytes) => (parts.status, content_type(&parts.headers), bytes).into_response(),
                Err(_) => StatusCode::BAD_GATEWAY.into_response(),
            }
        }
        Err(answer) => answer,
    }
}

/// Passes the request on with the caller's own credentials.
async fn upstream(shared: &Shared, request: Request) -> Result<axum::http::Response<kube::client::Body>, Response> {
    let bad_gateway = || StatusCode::BAD_GATEWAY.into_response();
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| bad_gateway())?;
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body));
    shared.upstream.send(request).await.map_err(|_| bad_gateway())
}

fn content_type(headers: &HeaderMap) -> HeaderMap {
    headers.iter().filter(|(name, _)| **name == header::CONTENT_TYPE).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn json(bytes: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes.into()).into_response()
}

/// What the API server itself would say.
fn refusal(code: u16) -> Response {
    let reason = match code {
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": "the fault proxy refuses this request",
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (code, json(status.to_string())).into_response();
    if code == StatusCode::TOO_MANY_REQUESTS {
        answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    answer
}

fn end(pid: i32) {
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}
