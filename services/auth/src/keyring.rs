//! The signing keys in memory, as the database has them.

use std::sync::{Arc, PoisonError, RwLock};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, OctetKeyPairParameters,
        OctetKeyPairType, PublicKeyUse,
    },
};
use kit::auth::{AccessClaims, KeysError, OwnKeys, TOKEN_TYPE};

use crate::{
    domain::{KeyPlan, NewKey, StoredKey},
    store,
};

/// The keys that sign and verify access tokens. They are the database's: every process has the same.
#[derive(Clone)]
pub(crate) struct KeyRing {
    database: db::Database,
    verifying: OwnKeys,
    loaded: Arc<RwLock<Option<Arc<Loaded>>>>,
}

/// The keys as they were last read.
pub(crate) struct Loaded {
    header: Header,
    signing: EncodingKey,
    published: JwkSet,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRingError {
    #[error("the signing keys cannot be read or made")]
    Database(#[from] sqlx::Error),
    #[error("a signing key of the database cannot be used")]
    Key(#[from] KeysError),
    #[error("there is no signing key")]
    None,
}

impl KeyRing {
    /// No keys yet; `verifying` gets the public ones whenever they are read.
    pub(crate) fn new(database: db::Database, verifying: OwnKeys) -> Self {
        Self { database, verifying, loaded: Arc::default() }
    }

    /// The keys, read from the database where that never worked before.
    pub(crate) async fn current(&self) -> Result<Arc<Loaded>, KeyRingError> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone();
        match loaded {
            Some(loaded) => Ok(loaded),
            None => self.reload().await,
        }
    }

    /// Reads the keys anew, and makes a new one where it is due.
    pub(crate) async fn reload(&self) -> Result<Arc<Loaded>, KeyRingError> {
        let mut conn = self.database.pool().acquire().await?;
        let mut plan = KeyPlan::of(store::keys::all(&mut conn).await?);
        drop(conn);
        if plan.new_key_due {
            plan = self.make_key(|plan| plan.new_key_due).await?;
        }
        let loaded = Arc::new(Loaded::from_plan(plan)?);
        self.verifying.replace(&loaded.published)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded.clone());
        Ok(loaded)
    }

    /// Makes a new key before it is due, unless the newest has yet to sign. Gives the id of the newest.
    pub(crate) async fn rotate(&self) -> Result<String, KeyRingError> {
        let plan = self.make_key(|plan| plan.new_key_allowed).await?;
        plan.published.into_iter().next().map(|newest| newest.kid).ok_or(KeyRingError::None)
    }

    /// Makes a key where it is `wanted`, which another process may have changed a moment ago, and deletes those whose
    /// tokens are all dead.
    async fn make_key(&self, wanted: fn(&KeyPlan) -> bool) -> Result<KeyPlan, sqlx::Error> {
        let mut tx = self.database.begin("signing-key").await?;
        store::keys::lock(&mut tx).await?;
        let plan = KeyPlan::of(store::keys::all(&mut tx).await?);
        if !wanted(&plan) {
            return Ok(plan);
        }
        let kept: Vec<String> = plan.published.iter().map(|key| key.kid.clone()).collect();
        store::keys::delete_except(&mut tx, &kept).await?;
        let new = NewKey::generate();
        store::keys::insert(&mut tx, &new).await?;
        let plan = KeyPlan::of(store::keys::all(&mut tx).await?);
        tx.commit().await?;
        tracing::info!(kid = new.kid, "made a signing key");
        Ok(plan)
    }
}

impl Loaded {
    fn from_plan(plan: KeyPlan) -> Result<Self, KeyRingError> {
        let signing = plan.signing.ok_or(KeyRingError::None)?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(signing.kid);
        let published = JwkSet { keys: plan.published.iter().map(public).collect() };
        Ok(Self { header, signing: EncodingKey::from_ed_der(&signing.private_key), published })
    }

    /// `claims` as a token.
    pub(crate) fn sign(&self, claims: &AccessClaims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.signing)
    }

    /// The public keys (RFC 7517).
    pub(crate) const fn published(&self) -> &JwkSet {
        &self.published
    }
}

fn public(key: &StoredKey) -> Jwk {
    Jwk {
        common: CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(KeyAlgorithm::EdDSA),
            key_id: Some(key.kid.clone()),
            ..CommonParameters::default()
        },
        algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: BASE64_URL_SAFE_NO_PAD.encode(&key.public_key),
        }),
    }
}
