//! Access tokens without the auth service: a signing key of the test's own, published as the auth service would.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::{Json, Router, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kit::{
    Clock, Platform,
    auth::{AccessClaims, TOKEN_TYPE, Verifier, VerifierArgs},
};
use tokio::net::TcpListener;
use types::{Role, SessionId, UserId};

const NAME: &str = "greencommerce";
const LIFETIME_SECONDS: i64 = 900;

/// Signs access tokens that the services of the test believe.
pub struct Issuer {
    key_id: String,
    key: EncodingKey,
    url: String,
    clock: Clock,
}

impl Issuer {
    /// A new key, whose public half is served at `/.well-known/jwks.json`.
    ///
    /// # Panics
    ///
    /// When no loopback port is to be had.
    pub async fn start() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key can be generated");
        let document = pair.to_pkcs8v1().expect("a new key can be exported");
        let key_id = crate::unique();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let set = serde_json::json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id, "x": public,
        }]});
        let router = Router::new().route("/.well-known/jwks.json", get(async move || Json(set)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        #[expect(clippy::disallowed_methods, reason = "it ends with the runtime of the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { key_id, key: EncodingKey::from_ed_der(document.as_ref()), url, clock: Clock::system() }
    }

    /// What tokens must say, and where the key is, as services take it.
    #[must_use]
    pub fn args(&self) -> VerifierArgs {
        VerifierArgs { auth_http_url: self.url.clone(), jwt_issuer: NAME.to_owned(), jwt_audience: NAME.to_owned() }
    }

    /// What a service gets from its process: a clock, which the test can move by [`Issuer::clock`], and a verifier that
    /// reads this key.
    ///
    /// # Panics
    ///
    /// When no HTTP client can be made.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let verifier = Verifier::from_args(&self.args()).expect("an HTTP client can be made");
        Platform { clock: self.clock.clone(), verifier }
    }

    /// The clock of the test's services.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A token for a customer.
    #[must_use]
    pub fn customer(&self, user: UserId) -> String {
        self.token(user, &[Role::Customer])
    }

    /// A token for a member of staff.
    #[must_use]
    pub fn staff(&self) -> String {
        self.token(UserId::new(), &[Role::Staff])
    }

    /// A token for an administrator.
    #[must_use]
    pub fn admin(&self) -> String {
        self.token(UserId::new(), &[Role::Admin])
    }

    /// A token for `user` with `roles`.
    #[must_use]
    pub fn token(&self, user: UserId, roles: &[Role]) -> String {
        self.sign(&self.claims(user, roles))
    }

    /// A token that ended an hour ago.
    #[must_use]
    pub fn expired(&self, user: UserId) -> String {
        let claims = self.claims(user, &[Role::Customer]);
        self.sign(&AccessClaims { iat: claims.iat - 7200, exp: claims.iat - 3600, ..claims })
    }

    /// What a good token for `user` says; a test may change it before it has it signed.
    #[must_use]
    pub fn claims(&self, user: UserId, roles: &[Role]) -> AccessClaims {
        let now = self.clock.now().as_second();
        AccessClaims {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: user,
            sid: SessionId::new(),
            iat: now,
            exp: now + LIFETIME_SECONDS,
            jti: uuid::Uuid::now_v7(),
            roles: roles.to_vec(),
        }
    }

    /// Signs `claims`, whatever they say.
    ///
    /// # Panics
    ///
    /// Never: claims are plain data and the key is a good one.
    #[must_use]
    pub fn sign(&self, claims: &AccessClaims) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, claims, &self.key).expect("claims are plain data")
    }
}

#[cfg(test)]
mod tests {
    use kit::auth::Rejected;

    use super::*;

    #[tokio::test]
    async fn its_tokens_are_believed_and_its_expired_ones_are_not() {
        let issuer = Issuer::start().await;
        let verifier = issuer.platform().verifier;
        let user = UserId::new();
        let claims = verifier.verify(&issuer.customer(user)).await.unwrap();
        assert_eq!((claims.sub, claims.roles), (user, vec![Role::Customer]));
        assert!(matches!(verifier.verify(&issuer.expired(user)).await, Err(Rejected::Invalid(_))));
    }

    #[tokio::test]
    async fn another_issuers_tokens_are_refused() {
        let (issuer, stranger) = (Issuer::start().await, Issuer::start().await);
        let verifier = issuer.platform().verifier;
        assert!(matches!(verifier.verify(&stranger.admin()).await, Err(Rejected::Invalid(_))));
    }
}
