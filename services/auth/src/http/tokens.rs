//! What a login and a refresh answer (RFC 6749, section 5.1).

use std::sync::Arc;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use kit::{
    Clock,
    auth::{AccessClaims, Verifier},
    http::{Json, Problem},
};
use serde::Serialize;
use types::{Role, UserId};
use uuid::Uuid;

use crate::{
    domain::RefreshToken,
    keyring::{KeyRing, KeyRingError},
};

/// Seconds an access token lives.
const LIFETIME: i64 = 900;

/// Makes access tokens.
#[derive(Clone)]
pub(crate) struct Issuer {
    iss: Arc<str>,
    aud: Arc<str>,
    clock: Clock,
}

/// The tokens of a session.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Tokens {
    /// Send it as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds the access token lives.
    expires_in: i64,
    /// Good for one `POST /api/auth/refresh`, which gives the next one.
    refresh_token: String,
}

impl Issuer {
    /// Makes tokens that `verifier` accepts.
    pub(crate) fn new(verifier: &Verifier, clock: Clock) -> Self {
        Self { iss: verifier.issuer().into(), aud: verifier.audience().into(), clock }
    }

    /// The answer that hands out `refresh` with an access token.
    pub(crate) async fn answer(
        &self,
        keys: &KeyRing,
        account: UserId,
        roles: &[Role],
        refresh: &RefreshToken,
    ) -> Result<Tokens, Problem> {
        let now = self.clock.now().as_second();
        let claims = AccessClaims {
            iss: self.iss.to_string(),
            aud: self.aud.to_string(),
            sub: account,
            sid: refresh.session(),
            iat: now,
            exp: now + LIFETIME,
            jti: Uuid::now_v7(),
            roles: roles.to_vec(),
        };
        let access_token = keys.current().await?.sign(&claims).map_err(Problem::internal)?;
        Ok(Tokens { access_token, token_type: "Bearer", expires_in: LIFETIME, refresh_token: refresh.encode() })
    }
}

impl IntoResponse for Tokens {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(self)).into_response()
    }
}

impl From<KeyRingError> for Problem {
    fn from(error: KeyRingError) -> Self {
        match error {
            KeyRingError::Database(error) => error.into(),
            KeyRingError::Key(_) | KeyRingError::None => Self::internal(error),
        }
    }
}
