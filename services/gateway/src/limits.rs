//! Limits on what a request may carry, before anything else looks at it.

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use kit::http::Problem;

/// Most bytes of names and values of a request's headers together.
const HEADERS: usize = 16 * 1024;
/// Most bytes of a request's path and query.
const TARGET: usize = 8 * 1024;

/// Refuses requests with too large heads.
pub(crate) fn around(router: Router) -> Router {
    router.layer(from_fn(limit_head))
}

async fn limit_head(request: Request, next: Next) -> Response {
    let size: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > HEADERS {
        let detail = "the headers are larger than 16 KiB together";
        return Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail).into_response();
    }
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > TARGET) {
        let detail = "the path and the query are longer than 8 KiB";
        return Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail).into_response();
    }
    next.run(request).await
}
