//! Access tokens: EdDSA-signed JWTs (RFC 7519, RFC 8037) in the profile of RFC 9068 (`typ: at+jwt`), checked as RFC 8725
//! asks: one algorithm, our own keys only, issuer, audience, expiry.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, Validation};
use serde::{Deserialize, Serialize};
use types::{Role, SessionId, UserId};

use super::keys::{KeySource, KeysError};

/// The `typ` of an access token (RFC 9068, section 2.1).
pub const TOKEN_TYPE: &str = "at+jwt";

/// Seconds by which the clocks of issuer and verifier may differ.
const LEEWAY: u64 = 30;

/// Longest token that is looked at, in bytes.
const LONGEST: usize = 4096;

/// What tokens must say, and where the keys are.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifierArgs {
    /// Address of the auth service, whose keys sign the access tokens
    #[arg(long, env = "AUTH_HTTP_URL", default_value = "http://127.0.0.1:8080")]
    pub auth_http_url: String,

    /// Issuer that access tokens must have
    #[arg(long, env = "JWT_ISSUER", default_value = "greencommerce")]
    pub jwt_issuer: String,

    /// Audience that access tokens must be for
    #[arg(long, env = "JWT_AUDIENCE", default_value = "greencommerce")]
    pub jwt_audience: String,
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The account.
    pub sub: UserId,
    /// The session it belongs to.
    pub sid: SessionId,
    /// When it was issued, in seconds of Unix time.
    pub iat: i64,
    /// When it ends, in seconds of Unix time.
    pub exp: i64,
    /// Its own id.
    pub jti: uuid::Uuid,
    /// What the account may do.
    pub roles: Vec<Role>,
}

/// Checks access tokens against the keys of the auth service.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
}

struct Shared {
    keys: KeySource,
    issuer: String,
    audience: String,
    validation: Validation,
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It is not a token of ours, or not valid any more.
    #[error("the token was refused")]
    Invalid(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The keys could not be read, so nobody can say.
    #[error("the signing keys cannot be read")]
    KeysAway(#[source] KeysError),
}

impl Verifier {
    /// A verifier of tokens from `issuer` for `audience`, signed by one of `keys`.
    #[must_use]
    pub fn new(keys: KeySource, issuer: &str, audience: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        Self { shared: Arc::new(Shared { keys, issuer, audience, validation }) }
    }

    /// The same demands, with other keys.
    #[must_use]
    pub fn with_keys(&self, keys: KeySource) -> Self {
        Self::new(keys, self.issuer(), self.audience())
    }

    /// The issuer that tokens must have.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The audience that tokens must be for.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.shared.audience
    }

    /// A verifier that reads the keys from the auth service.
    pub fn from_args(args: &VerifierArgs) -> Result<Self, KeysError> {
        let keys = KeySource::remote(&args.auth_http_url)?;
        Ok(Self::new(keys, &args.jwt_issuer, &args.jwt_audience))
    }

    /// What `token` says, if it is to be believed.
    pub async fn verify(&self, token: &str) -> Result<AccessClaims, Rejected> {
        if token.len() > LONGEST {
            return Err(invalid("longer than any token of ours"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        if header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(invalid("not an access token"));
        }
        if header.alg != Algorithm::EdDSA {
            return Err(invalid("not signed by EdDSA"));
        }
        let kid = header.kid.ok_or_else(|| invalid("names no key"))?;
        let key =
            self.shared.keys.get(&kid).await.map_err(Rejected::KeysAway)?.ok_or_else(|| invalid("unknown key"))?;
        let data = jsonwebtoken::decode::<AccessClaims>(token, &key, &self.shared.validation).map_err(invalid)?;
        Ok(data.claims)
    }
}

fn invalid(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Rejected {
    Rejected::Invalid(cause.into())
}
