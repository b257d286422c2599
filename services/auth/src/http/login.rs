//! Logging in.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
};
use kit::http::{Json, Problem};
use serde::Deserialize;
use sqlx::PgConnection;
use types::{EmailAddress, SessionId};

use super::{client::Client, tokens::Tokens};
use crate::{
    App,
    domain::{AccountStatus, PER_ACCOUNT, PER_CLIENT, Password, RefreshToken, subject},
    store::{accounts, accounts::Credentials, failures, sessions},
};

/// An address and its password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(format = "password")]
    password: String,
}

/// Begins a session.
#[utoipa::path(
    post, path = "/api/auth/login", tag = "auth", request_body = Login,
    responses(
        (status = 200, body = Tokens), (status = 400, body = Problem),
        (status = 401, description = "`invalid_credentials`: no such account, or not its password", body = Problem),
        (status = 403, description = "`account_disabled`", body = Problem),
        (status = 429, description = "too many failures: `Retry-After` says when to come back", body = Problem),
    )
)]
pub(crate) async fn login(
    State(app): State<App>,
    client: Client,
    Json(Login { email, password }): Json<Login>,
) -> Result<Tokens, Problem> {
    // What cannot be an address or a password is not anybody's.
    let email: EmailAddress = email.parse().map_err(|_| refused())?;
    let password = Password::presented(&password).ok_or_else(refused)?;
    let subjects = [subject(&email, client.network), subject(&email, None)];
    let known = read(&app, &email, &subjects).await?;
    let verified = app.passwords.verify(password, known.as_ref().map(|known| known.password_hash.as_str())).await?;
    let Some(known) = known.filter(|_| verified) else { return Err(fail(&app, &subjects).await?) };
    if known.account.status == AccountStatus::Disabled {
        return Err(disabled());
    }
    let refresh = RefreshToken::first(SessionId::new());
    let mut tx = app.database.begin("login").await?;
    let account = known.account.id;
    if !sessions::begin(&mut tx, account, &known.password_hash, &refresh, client.agent.as_deref()).await? {
        // It was disabled, deleted, or given another password meanwhile.
        return Err(refused());
    }
    failures::forget(&mut tx, &subjects).await?;
    tx.commit().await?;
    metrics::counter!("auth_logins_total", "outcome" => "success").increment(1);
    tracing::info!(%account, session = %refresh.session(), "logged in");
    app.issuer.answer(&app.keys, account, &known.account.roles, &refresh).await
}

/// The account of `email`, unless too many have failed to log in to it.
async fn read(app: &App, email: &EmailAddress, subjects: &[Vec<u8>; 2]) -> Result<Option<Credentials>, Problem> {
    let mut conn = app.database.pool().acquire().await?;
    refuse_while_throttled(&mut conn, subjects).await?;
    Ok(accounts::by_email(&mut conn, email).await?)
}

async fn refuse_while_throttled(conn: &mut PgConnection, subjects: &[Vec<u8>; 2]) -> Result<(), Problem> {
    let [of_client, of_account] = subjects;
    let wait = match failures::wait(conn, of_client, PER_CLIENT).await? {
        Some(wait) => Some(wait),
        None => failures::wait(conn, of_account, PER_ACCOUNT).await?,
    };
    let Some(seconds) = wait else { return Ok(()) };
    metrics::counter!("auth_logins_total", "outcome" => "throttled").increment(1);
    let detail = "too many failed logins: wait, then try again";
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail)
        .header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1))))
}

/// Counts a failure, and says what to answer.
async fn fail(app: &App, subjects: &[Vec<u8>; 2]) -> Result<Problem, Problem> {
    let mut conn = app.database.pool().acquire().await?;
    for subject in subjects {
        failures::count(&mut conn, subject).await?;
    }
    metrics::counter!("auth_logins_total", "outcome" => "failure").increment(1);
    tracing::info!("a login failed");
    Ok(refused())
}

/// Does not say whether there is an account.
fn refused() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "no account has this address and this password")
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// Said to the owner only, who has given the password.
fn disabled() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "account_disabled", "this account was disabled: ask the shop")
}
