//! A key pair that stands for the auth service's.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::JwkSet};
use kit::auth::{AccessClaims, KeySource, TOKEN_TYPE, Verifier};
use serde::Serialize;
use serde_json::json;
use types::{Role, SessionId, UserId};

/// Signs tokens, and verifies them as a service does.
pub(crate) struct Issuer {
    signing: EncodingKey,
    /// The public key, which every attacker has.
    pub public: Vec<u8>,
}

impl Issuer {
    /// A new key pair, under the id `test`.
    pub(crate) fn new() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key pair");
        let signing = EncodingKey::from_ed_der(pair.to_pkcs8v1().expect("PKCS #8").as_ref());
        Self { signing, public: pair.public_key().as_ref().to_vec() }
    }

    /// What services check tokens with.
    pub(crate) fn verifier(&self) -> Verifier {
        let set: JwkSet = serde_json::from_value(json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "test",
            "x": BASE64_URL_SAFE_NO_PAD.encode(&self.public),
        }]}))
        .expect("a key set");
        Verifier::new(KeySource::fixed(&set).expect("usable keys"), "greencommerce", "greencommerce")
    }

    /// The header of a good token.
    pub(crate) fn header() -> Header {
        Header { typ: Some(TOKEN_TYPE.to_owned()), kid: Some("test".to_owned()), ..Header::new(Algorithm::EdDSA) }
    }

    /// `claims` under `header`, signed by this key.
    pub(crate) fn sign(&self, header: &Header, claims: &impl Serialize) -> String {
        jsonwebtoken::encode(header, claims, &self.signing).expect("a token")
    }
}

/// What a good token of a customer says.
pub(crate) fn good_claims() -> AccessClaims {
    let now = kit::Clock::system().now().as_second();
    AccessClaims {
        iss: "greencommerce".to_owned(),
        aud: "greencommerce".to_owned(),
        sub: UserId::new(),
        sid: SessionId::new(),
        iat: now,
        exp: now + 900,
        jti: uuid::Uuid::now_v7(),
        roles: vec![Role::Customer],
    }
}
