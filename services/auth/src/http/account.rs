//! One's own account.

use axum::extract::State;
use kit::{
    auth::Caller,
    http::{Json, Problem},
};
use sqlx::PgConnection;

use crate::{
    App,
    domain::{Account, AccountStatus, Password},
    store::{accounts, accounts::Credentials},
};

/// The caller's account.
#[utoipa::path(
    get, path = "/api/auth/me", tag = "auth", security(("bearer" = [])),
    responses((status = 200, body = Account), (status = 401, body = Problem))
)]
pub(crate) async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Account>, Problem> {
    let mut conn = app.database.pool().acquire().await?;
    Ok(Json(own(&mut conn, &caller).await?.account))
}

/// The caller's account; 401 where it was deleted or disabled since the token was issued.
pub(super) async fn own(conn: &mut PgConnection, caller: &Caller) -> Result<Credentials, Problem> {
    let own = accounts::by_id(conn, caller.user_id()).await?;
    own.filter(|own| own.account.status == AccountStatus::Active).ok_or_else(gone)
}

/// 401 for an account that was deleted or disabled since the token was issued.
pub(super) fn gone() -> Problem {
    Problem::unauthorized("invalid_token", "the account of this token is no more")
}

/// 403 unless `text` is the password of `own`.
pub(super) async fn confirm(app: &App, own: &Credentials, text: &str) -> Result<(), Problem> {
    let right = match Password::presented(text) {
        Some(password) => app.passwords.verify(password, Some(&own.password_hash)).await?,
        None => false,
    };
    let wrong = || {
        Problem::new(axum::http::StatusCode::FORBIDDEN, "wrong_password", "that is not the password of this account")
    };
    right.then_some(()).ok_or_else(wrong)
}
