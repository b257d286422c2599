//! The caller of a request, as handlers ask for them. A handler that asks for none of these is open to everybody.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{FromRequestParts, OptionalFromRequestParts, Request},
    http::{header, request::Parts},
    middleware::Next,
    response::Response,
};
use types::{Role, SessionId, UserId};

use super::{AccessClaims, Rejected, Verifier};
use crate::http::Problem;

/// Somebody who is logged in. As `Option<Caller>` where the route is open to guests too; a bad token is refused all the
/// same.
#[derive(Debug, Clone)]
pub struct Caller(Arc<AccessClaims>);

/// A caller who runs the shop: role `staff` or `admin`.
#[derive(Debug, Clone)]
pub struct Staff(pub Caller);

/// A caller who runs accounts: role `admin`.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

/// What the layer found out about a request's token.
#[derive(Clone)]
enum Identity {
    Guest,
    Known(Caller),
    Refused,
    Unclear,
}

impl Caller {
    /// The account.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.0.sub
    }

    /// The session.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.0.sid
    }

    /// Whether the account has `role`; `admin` includes `staff`.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.roles.contains(&role) || (role == Role::Staff && self.0.roles.contains(&Role::Admin))
    }

    /// Whether the caller may see what belongs to `owner`: it is theirs, or they are staff.
    #[must_use]
    pub fn may_see(&self, owner: UserId) -> bool {
        self.user_id() == owner || self.has(Role::Staff)
    }
}

/// The layer that checks the token of a request once, whoever asks for the caller later.
pub(crate) async fn identify(Extension(verifier): Extension<Verifier>, mut request: Request, next: Next) -> Response {
    let identity = match bearer(&request) {
        None => Identity::Guest,
        Some(Err(())) => Identity::Refused,
        Some(Ok(token)) => match verifier.verify(token).await {
            Ok(claims) => Identity::Known(Caller(Arc::new(claims))),
            Err(Rejected::Invalid(cause)) => {
                tracing::info!(cause = %cause, "an access token was refused");
                Identity::Refused
            }
            Err(Rejected::KeysAway(cause)) => {
                tracing::warn!(cause = %crate::telemetry::Chain(&cause), "access tokens cannot be checked");
                Identity::Unclear
            }
        },
    };
    request.extensions_mut().insert(identity);
    next.run(request).await
}

fn bearer(request: &Request) -> Option<Result<&str, ()>> {
    let value = request.headers().get(header::AUTHORIZATION)?;
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    Some(token.ok_or(()))
}

fn identity(parts: &Parts) -> Result<Option<Caller>, Problem> {
    match parts.extensions.get::<Identity>() {
        Some(Identity::Known(caller)) => Ok(Some(caller.clone())),
        Some(Identity::Guest) => Ok(None),
        Some(Identity::Refused) => {
            Err(Problem::unauthorized("invalid_token", "the access token is not valid, or not any more"))
        }
        Some(Identity::Unclear) => {
            Err(Problem::unavailable("access tokens cannot be checked at the moment, try again"))
        }
        None => Err(Problem::internal("a route outside of the conventions asks for its caller")),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        identity(parts)?.ok_or_else(|| {
            Problem::unauthorized("login_required", "log in, and send the access token as a bearer token")
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        identity(parts)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Staff {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if caller.has(Role::Staff) { Ok(Self(caller)) } else { Err(Problem::forbidden("only staff may do this")) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if caller.has(Role::Admin) {
            Ok(Self(caller))
        } else {
            Err(Problem::forbidden("only an administrator may do this"))
        }
    }
}
