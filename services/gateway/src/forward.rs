//! Forwarding a request to its service, again where that is safe.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, Version, request::Parts, uri::Scheme};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::{
    client::legacy::{Client as HttpClient, Error as CallError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kit::{
    auth::Caller,
    http::{Problem, TraceContext},
    telemetry::Chain,
};
use tokio::time::Instant;

use crate::{
    headers::{self, Client},
    reload::RouteBook,
    replay::{BodyError, LIMIT, Replayable, Try},
    routes::Route,
    tunnel::Tunnels,
};

/// How long a service may take to begin its answer, all tries together.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);
/// How long a connection to a service may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Nothing is sent on a connection that was idle for longer: a service that ends says so in each answer, and closes what is
/// idle a little later than this. So no request meets a connection that ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pauses before the second and the third try: together longer than it takes until nobody sends to a pod that ended.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Where one logs in, an old access token is of no matter: clients that send it everywhere must be able to get a new one.
const OPEN_TO_ANY_TOKEN: [&str; 5] =
    ["/api/auth/login", "/api/auth/refresh", "/api/auth/register", "/auth/login", "/auth/register"];

/// Forwards requests.
pub(crate) struct Forwarder {
    routes: RouteBook,
    tunnels: Tunnels,
    trusted_proxies: usize,
    client: HttpClient<HttpConnector, Try>,
}

/// What every try of a request sends.
struct Outgoing {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Replayable,
    /// Whether the service may see it twice.
    repeatable: bool,
}

impl Forwarder {
    /// Forwards by `routes`, believing what `trusted_proxies` proxies in front say about the client.
    pub(crate) fn new(routes: RouteBook, tunnels: Tunnels, trusted_proxies: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(Duration::from_secs(15)));
        let client = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(64)
            .http1_max_buf_size(64 * 1024)
            .build(connector);
        Self { routes, tunnels, trusted_proxies, client }
    }

    /// The service's answer, or why there is none.
    async fn call(&self, outgoing: &Outgoing, route: &Route) -> Result<Response<Incoming>, Problem> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut pauses = PAUSES.iter();
        loop {
            let answer = tokio::time::timeout_at(deadline, self.client.request(outgoing.another_try())).await;
            let error = match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => return Err(too_slow(route)),
            };
            if let Some(problem) = outgoing.body.failure().and_then(body_problem) {
                return Err(problem);
            }
            let safe = (is_unsent(&error) || outgoing.repeatable) && outgoing.body.is_intact();
            let Some(pause) = pauses.next().filter(|_| safe) else { return Err(away(route, error)) };
            metrics::counter!("gateway_retries_total", "route" => route.prefix().to_owned()).increment(1);
            tracing::debug!(route = route.prefix(), error = %Chain(&error), "trying again");
            tokio::time::sleep(*pause).await;
        }
    }
}

/// Forwards a request to the service of its path.
pub(crate) async fn forward(State(forwarder): State<Arc<Forwarder>>, mut request: Request) -> Response {
    let upgrade = headers::asked_upgrade(request.headers())
        .filter(|_| request.version() == Version::HTTP_11)
        .map(|protocol| (protocol, hyper::upgrade::on(&mut request)));
    let (mut parts, body) = request.into_parts();
    if let Err(problem) = check_token(&mut parts).await {
        return problem.into_response();
    }
    let table = forwarder.routes.table();
    let Some(route) = table.find(parts.uri.path()) else {
        return Problem::not_found("there is nothing at this address").into_response();
    };
    if body.size_hint().lower() > LIMIT as u64 {
        return too_large().into_response();
    }
    let (protocol, client) = upgrade.unzip();
    let Some(mut outgoing) = Outgoing::new(&mut parts, body, route, forwarder.trusted_proxies).await else {
        return Problem::bad_request("malformed_uri", "the address of the request is malformed").into_response();
    };
    if let Some(protocol) = protocol {
        headers::ask_upgrade(&mut outgoing.headers, protocol);
    }
    match forwarder.call(&outgoing, route).await {
        Ok(answer) => pass_back(&forwarder.tunnels, answer, client),
        Err(problem) => problem.into_response(),
    }
}

/// Refuses a token that no service would accept.
async fn check_token(parts: &mut Parts) -> Result<(), Problem> {
    if OPEN_TO_ANY_TOKEN.contains(&parts.uri.path()) {
        return Ok(());
    }
    <Caller as OptionalFromRequestParts<()>>::from_request_parts(parts, &()).await.map(|_| ())
}

fn pass_back(tunnels: &Tunnels, answer: Response<Incoming>, client: Option<OnUpgrade>) -> Response {
    let mut answer = answer;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client) = client else { return broken_off("a protocol was changed unasked").into_response() };
        // What the service says about the upgrade is for the client this time.
        tunnels.open(client, hyper::upgrade::on(&mut answer));
        return answer.map(Body::new);
    }
    headers::to_client(answer.headers_mut());
    answer.map(Body::new)
}

impl Outgoing {
    /// The request to `route`; `None` where its address is none.
    async fn new(parts: &mut Parts, body: Body, route: &Route, trusted_proxies: usize) -> Option<Self> {
        let Ok(trace) = TraceContext::from_request_parts(parts, &()).await;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        let client = Client::of(&parts.headers, authority, peer, trusted_proxies);
        let mut headers = std::mem::take(&mut parts.headers);
        headers::to_service(&mut headers, client, trace.traceparent());
        let repeatable = parts.method == Method::GET
            || parts.method == Method::HEAD
            || parts.method == Method::OPTIONS
            || headers.contains_key("idempotency-key");
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(route.upstream().clone());
        uri.path_and_query = parts.uri.path_and_query().cloned();
        Some(Self {
            method: parts.method.clone(),
            uri: Uri::from_parts(uri).ok()?,
            headers,
            body: Replayable::new(body, repeatable),
            repeatable,
        })
    }

    fn another_try(&self) -> Request<Try> {
        let mut request = Request::new(self.body.another_try());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Whether the service has not got anything of the request.
fn is_unsent(error: &CallError) -> bool {
    let canceled = || {
        error.source().and_then(|source| source.downcast_ref::<hyper::Error>()).is_some_and(hyper::Error::is_canceled)
    };
    error.is_connect() || canceled()
}

fn body_problem(error: BodyError) -> Option<Problem> {
    match error {
        BodyError::TooLarge => Some(too_large()),
        BodyError::BrokenOff => Some(Problem::bad_request("unreadable_body", "the body ended early")),
        BodyError::Superseded => None,
    }
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than 1 MiB")
}

fn too_slow(route: &Route) -> Problem {
    metrics::counter!("gateway_failures_total", "route" => route.prefix().to_owned(), "kind" => "timeout").increment(1);
    let detail = "this part of the shop did not answer in time: it may have done what was asked";
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail)
}

/// Not reached at all: 503, to be tried again. Lost on the way: 502, because it may have been done.
fn away(route: &Route, error: CallError) -> Problem {
    let kind = if is_unsent(&error) { "unreachable" } else { "broken-off" };
    metrics::counter!("gateway_failures_total", "route" => route.prefix().to_owned(), "kind" => kind).increment(1);
    if is_unsent(&error) {
        Problem::unavailable("this part of the shop is away for a moment: try again").caused_by(error)
    } else {
        broken_off(error)
    }
}

fn broken_off(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Problem {
    let detail = "this part of the shop broke off: it may have done what was asked";
    Problem::new(StatusCode::BAD_GATEWAY, "broken_off", detail).caused_by(cause)
}
