//! Registering.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use events::{UserEvent, UserRegistered};
use kit::http::{FieldError, IdempotencyKey, Json, Problem, TraceContext, answer_once};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use types::{EmailAddress, Invalid, Role, ShortText, UserId};
use uuid::Uuid;

use crate::{
    App,
    domain::{Account, Owner, Password},
    store::accounts::{self, NewAccount},
};

/// A new account.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    #[schema(value_type = EmailAddress)]
    email: String,
    /// 8 to 256 characters; not one that is guessed first.
    #[schema(format = "password", min_length = 8, max_length = 256)]
    password: String,
    #[schema(value_type = ShortText)]
    name: String,
}

/// The same, checked.
struct Registrant {
    email: EmailAddress,
    name: ShortText,
    password: Password,
}

/// What makes two registrations the same, for `Idempotency-Key`: the password is left out, because a plain hash of it must
/// not be stored.
#[derive(Serialize)]
struct Fingerprint<'a> {
    email: &'a EmailAddress,
    name: &'a ShortText,
}

/// Makes an account for a customer.
#[utoipa::path(
    post, path = "/api/auth/register", tag = "auth", request_body = Registration,
    params(("Idempotency-Key" = Option<String>, Header, description = "Your own name for this request: repeated, it gives the same answer")),
    responses(
        (status = 201, body = Account), (status = 400, body = Problem),
        (status = 409, description = "`email_taken`: the address has an account", body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem),
    )
)]
pub(crate) async fn register(
    State(app): State<App>,
    trace: TraceContext,
    key: Option<IdempotencyKey>,
    Json(registration): Json<Registration>,
) -> Result<Response, Problem> {
    let Registrant { email, name, password } = registration.check()?;
    let hash = app.passwords.hash(password).await?;
    let mut tx = app.database.begin("register").await?;
    let claimed = match key {
        None => None,
        Some(key) => {
            match key.claim(&mut tx, asker(&email), &Fingerprint { email: &email, name: &name }, UserId::new()).await {
                Ok(claimed) => Some(claimed),
                Err(answer) => {
                    // Nothing was written, or the claim is the one of the answer.
                    tx.commit().await?;
                    return Ok(answer);
                }
            }
        }
    };
    let id = claimed.as_ref().map_or_else(UserId::new, |claimed| claimed.subject().into());
    let new = NewAccount { id, email: &email, name: &name, password_hash: &hash, roles: &[Role::Customer] };
    let Some(account) = accounts::insert(&mut tx, new).await? else {
        return Err(Problem::conflict("email_taken", "there is an account with this address: log in instead"));
    };
    let registered = UserRegistered { user_id: id, email, name };
    db::outbox::append(&mut tx, UserEvent::Registered(registered), trace.into_traceparent()).await?;
    let answer = answer_once(claimed.as_ref(), &mut tx, StatusCode::CREATED, None, &account).await?;
    tx.commit().await?;
    app.signal.wake();
    tracing::info!(account = %id, "registered");
    Ok(answer.into_response())
}

impl Registration {
    /// Everything that is wrong with it at once.
    fn check(&self) -> Result<Registrant, Problem> {
        let (email, name) = (self.email.parse::<EmailAddress>(), self.name.parse::<ShortText>());
        let password = match (&email, &name) {
            (Ok(email), Ok(name)) => Some(Password::chosen(&self.password, Owner { email, name })),
            _ => None,
        };
        let mut errors = Vec::new();
        let mut refuse = |field: &str, error: &Invalid| {
            errors.push(FieldError { field: field.to_owned(), message: error.to_string() });
        };
        if let Err(error) = &email {
            refuse("email", error);
        }
        if let Err(error) = &name {
            refuse("name", error);
        }
        if let Some(Err(error)) = &password {
            refuse("password", error);
        }
        match (email, name, password) {
            (Ok(email), Ok(name), Some(Ok(password))) => Ok(Registrant { email, name, password }),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

/// Whose `Idempotency-Key` it is, before there is an account: the address's.
fn asker(email: &EmailAddress) -> UserId {
    let digest = Sha256::digest(email.as_str());
    let (id, _) = digest.split_first_chunk::<16>().expect("a digest has 32 bytes");
    UserId::from_uuid(Uuid::from_bytes(*id))
}
