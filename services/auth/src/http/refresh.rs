//! Refreshing: the next tokens for a refresh token.

use axum::extract::State;
use kit::http::{Json, Problem};
use serde::Deserialize;

use super::tokens::Tokens;
use crate::{
    App,
    domain::{Presented, RefreshToken},
    store::{accounts, sessions},
};

/// A refresh token, as the last login or refresh gave it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    refresh_token: String,
}

/// Gives the next tokens of a session. A refresh token is used once; sent again because the answer was lost, it gives the
/// same successor. One whose successor was used already ends the session: it was stolen.
#[utoipa::path(
    post, path = "/api/auth/refresh", tag = "auth", request_body = Refresh,
    responses(
        (status = 200, body = Tokens), (status = 400, body = Problem),
        (status = 401, description = "`invalid_refresh_token`: the session has ended, log in again", body = Problem),
    )
)]
pub(crate) async fn refresh(
    State(app): State<App>,
    Json(Refresh { refresh_token }): Json<Refresh>,
) -> Result<Tokens, Problem> {
    let token: RefreshToken = refresh_token.parse().map_err(|_| refused())?;
    let mut tx = app.database.begin("refresh").await?;
    let session = sessions::lock(&mut tx, token.session()).await?.ok_or_else(refused)?;
    let next = match session.chain.judge(&token) {
        Presented::Current(next) => {
            sessions::advance(&mut tx, &next).await?;
            next
        }
        Presented::Retried(again) => again,
        Presented::Foreign => return Err(refused()),
        Presented::Replayed => {
            sessions::end(&mut tx, session.account, token.session()).await?;
            tx.commit().await?;
            metrics::counter!("auth_refresh_replays_total").increment(1);
            tracing::warn!(account = %session.account, session = %token.session(), "a used refresh token came again: the session has ended");
            return Err(refused());
        }
    };
    let owner = accounts::by_id(&mut tx, session.account).await?.ok_or_else(refused)?;
    tx.commit().await?;
    app.issuer.answer(&app.keys, session.account, &owner.account.roles, &next).await
}

fn refused() -> Problem {
    Problem::unauthorized("invalid_refresh_token", "the session has ended: log in again")
}
