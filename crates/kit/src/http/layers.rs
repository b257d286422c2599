//! The layers around every service's routes.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderValue, StatusCode},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::{
    Problem,
    trace::{REQUEST_ID, RequestId},
};
use crate::auth::Verifier;

/// The largest body a service reads where it does not say otherwise, in bytes.
pub const BODY_LIMIT: usize = 256 * 1024;

/// The longest a request may take, beyond what the gateway waits for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Puts the conventions around `router`: request ids, access logs, metrics by route, a time-out, a body limit, problems
/// instead of panics and of plain-text answers, and the caller of each request as `verifier` sees them.
pub fn with_conventions(router: Router, verifier: Verifier) -> Router {
    router
        .fallback(|| async { Problem::not_found("there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address does not take that method")
        })
        .layer(from_fn(crate::auth::identify))
        .layer(axum::Extension(verifier))
        .layer(from_fn(limit_time))
        .layer(CatchPanicLayer::custom(|_| Problem::internal("a handler panicked").into_response()))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(observe))
}

async fn limit_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "the request took too long").into_response()
    })
}

/// One log line and one measurement per request, under its id and its route (never its path: that would make a metric per
/// product).
async fn observe(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = RequestId::from_headers(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", id = id.0, %method, route);
    // Plausible ids are visible ASCII, so this cannot fail.
    let id = HeaderValue::try_from(id.0).ok();
    if let Some(id) = id.clone() {
        // So that what is called on behalf of this request has the same id.
        request.headers_mut().insert(REQUEST_ID, id);
    }
    let response = async {
        let mut response = next.run(request).await;
        let (status, elapsed) = (response.status().as_u16(), begun.elapsed());
        if let Some(id) = id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        tracing::debug!(status, milliseconds = elapsed.as_millis(), "answered");
        let labels = [("method", method.to_string()), ("route", route.clone()), ("status", status.to_string())];
        metrics::counter!("http_requests_total", &labels).increment(1);
        metrics::histogram!("http_request_duration_seconds", &labels[..2]).record(elapsed.as_secs_f64());
        response
    };
    response.instrument(span.clone()).await
}
