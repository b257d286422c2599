//! Changing one's password.

use axum::{extract::State, http::StatusCode};
use kit::{
    auth::Caller,
    http::{Json, Problem},
};
use serde::Deserialize;

use super::account;
use crate::{
    App,
    domain::{Owner, Password},
    store::{accounts, sessions},
};

/// The password, and what it is to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    #[schema(format = "password")]
    current_password: String,
    #[schema(format = "password", min_length = 8, max_length = 256)]
    new_password: String,
}

/// Changes the caller's password, and ends every other session of the account.
#[utoipa::path(
    post, path = "/api/auth/password/change", tag = "auth", request_body = PasswordChange, security(("bearer" = [])),
    responses(
        (status = 204), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, description = "`wrong_password`", body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem),
    )
)]
pub(crate) async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Json(PasswordChange { current_password, new_password }): Json<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let own = account::own(&mut *app.database.pool().acquire().await?, &caller).await?;
    let owner = Owner { email: &own.account.email, name: &own.account.name };
    let new = Password::chosen(&new_password, owner).map_err(|error| Problem::invalid_field("new_password", error))?;
    account::confirm(&app, &own, &current_password).await?;
    let hash = app.passwords.hash(new).await?;
    let mut tx = app.database.begin("change-password").await?;
    if !accounts::set_password(&mut tx, own.account.id, &own.password_hash, &hash).await? {
        return Err(Problem::conflict("password_changed", "the password was changed at the same moment: log in again"));
    }
    sessions::end_all(&mut tx, own.account.id, Some(caller.session_id())).await?;
    tx.commit().await?;
    tracing::info!(account = %own.account.id, "changed the password");
    Ok(StatusCode::NO_CONTENT)
}
