//! One's sessions: where one is logged in.

use axum::{extract::State, http::StatusCode};
use jiff::Timestamp;
use kit::{
    auth::Caller,
    http::{Json, Path, Problem, Query},
};
use serde::{Deserialize, Serialize};
use types::{Cursor, Page, PageLimit, SessionId};

use crate::{App, store};

/// A session.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Session {
    id: SessionId,
    /// What the client said it was at the login.
    user_agent: Option<String>,
    created_at: Timestamp,
    /// When it was last refreshed.
    last_used_at: Timestamp,
    /// When it ends however often it is used.
    expires_at: Timestamp,
    /// Whether it is the session of this request.
    current: bool,
}

/// Which part of a list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// How many, 1 to 100; 20 where nothing is said.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    limit: Option<PageLimit>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// The caller's sessions, newest first.
#[utoipa::path(
    get, path = "/api/auth/sessions", tag = "auth", params(Part), security(("bearer" = [])),
    responses((status = 200, body = Page<Session>), (status = 400, body = Problem), (status = 401, body = Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(Part { limit, cursor }): Query<Part>,
) -> Result<Json<Page<Session>>, Problem> {
    let limit = limit.unwrap_or_default();
    let before = cursor.map(|cursor| Cursor::<SessionId>::decode(&cursor)).transpose();
    let before = before.map_err(|error| Problem::bad_request("invalid_cursor", format!("the cursor {error}")))?;
    let mut conn = app.database.pool().acquire().await?;
    let before = before.map(|Cursor(id)| id);
    let rows = store::sessions::list(&mut conn, caller.user_id(), before, limit).await?;
    let page = Page::from_rows(rows, limit, |session| session.id);
    Ok(Json(page.map(|session| Session {
        current: session.id == caller.session_id(),
        id: session.id,
        user_agent: session.user_agent,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
    })))
}

/// Ends one of the caller's sessions. Its access token is accepted until it expires, for 15 minutes at the most.
#[utoipa::path(
    delete, path = "/api/auth/sessions/{id}", tag = "auth", params(("id" = SessionId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn end(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    let mut conn = app.database.pool().acquire().await?;
    if store::sessions::end(&mut conn, caller.user_id(), id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("you have no such session"))
    }
}
