//! Logging out.

use axum::{extract::State, http::StatusCode};
use kit::{
    auth::Caller,
    http::{Json, Problem},
};
use serde::Deserialize;

use crate::{
    App,
    domain::{Presented, RefreshToken},
    store::sessions,
};

/// The refresh token of the session to end, where the access token has expired.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logout {
    refresh_token: Option<String>,
}

/// Ends the session of the access token, or of the refresh token in the body. A session that has ended already is no error.
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "auth", request_body = Option<Logout>, security((), ("bearer" = [])),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem))
)]
pub(crate) async fn logout(
    State(app): State<App>,
    caller: Option<Caller>,
    body: Option<Json<Logout>>,
) -> Result<StatusCode, Problem> {
    let refresh_token = body.and_then(|Json(Logout { refresh_token })| refresh_token);
    match (refresh_token, caller) {
        (Some(text), _) => end_by_token(&app, &text).await?,
        (None, Some(caller)) => {
            let mut conn = app.database.pool().acquire().await?;
            sessions::end(&mut conn, caller.user_id(), caller.session_id()).await?;
        }
        (None, None) => {
            let detail = "send the access token as a bearer token, or the refresh token in the body";
            return Err(Problem::unauthorized("login_required", detail));
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the session of a genuine refresh token, however old.
async fn end_by_token(app: &App, text: &str) -> Result<(), Problem> {
    let Ok(token) = text.parse::<RefreshToken>() else { return Ok(()) };
    let mut tx = app.database.begin("logout").await?;
    let Some(session) = sessions::lock(&mut tx, token.session()).await? else { return Ok(()) };
    if session.chain.judge(&token) != Presented::Foreign {
        sessions::end(&mut tx, session.account, token.session()).await?;
    }
    Ok(tx.commit().await?)
}
