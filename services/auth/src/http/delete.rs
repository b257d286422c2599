//! Deleting one's account.

use axum::{extract::State, http::StatusCode};
use events::{UserDeleted, UserEvent};
use kit::{
    auth::Caller,
    http::{Json, Problem, TraceContext},
};
use serde::Deserialize;

use super::account;
use crate::{App, store::accounts};

/// The password, to be sure.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deletion {
    #[schema(format = "password")]
    password: Option<String>,
}

/// Deletes the caller's account for good. Where the password is sent, it must be the right one. PUT and DELETE do the same,
/// for existing clients.
#[utoipa::path(
    post, path = "/api/auth/delete", tag = "auth", request_body = Option<Deletion>, security(("bearer" = [])),
    responses(
        (status = 204), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, description = "`wrong_password`", body = Problem),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    trace: TraceContext,
    body: Option<Json<Deletion>>,
) -> Result<StatusCode, Problem> {
    if let Some(password) = body.and_then(|Json(Deletion { password })| password) {
        let own = account::own(&mut *app.database.pool().acquire().await?, &caller).await?;
        account::confirm(&app, &own, &password).await?;
    }
    let user_id = caller.user_id();
    let mut tx = app.database.begin("delete-account").await?;
    if !accounts::delete(&mut tx, user_id).await? {
        return Err(account::gone());
    }
    db::outbox::append(&mut tx, UserEvent::Deleted(UserDeleted { user_id }), trace.into_traceparent()).await?;
    tx.commit().await?;
    app.signal.wake();
    tracing::info!(account = %user_id, "deleted the account");
    Ok(StatusCode::NO_CONTENT)
}
