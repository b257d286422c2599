//! The public keys that access tokens are checked with.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use kit::http::{Json, Problem};

use crate::App;

/// Read often enough for a new key to be known before it signs.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// The key set (RFC 7517).
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "auth",
    responses((status = 200, body = Object, description = "a JWK set"), (status = 503, body = Problem))
)]
pub(crate) async fn jwks(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let keys = app.keys.current().await?;
    Ok(([(header::CACHE_CONTROL, CACHE)], Json(keys.published().clone())))
}
