//! The public keys that access tokens are checked with: the JWK set of the auth service (RFC 7517), kept in memory.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use jsonwebtoken::{DecodingKey, jwk::JwkSet};
use tokio::sync::{Mutex, RwLock};

/// After this long the set is read anew, so that a key that was taken out stops being accepted.
const FRESH: Duration = Duration::from_mins(1);
/// While the auth service is away, keys are believed this long after they were last read.
const BELIEVED: Duration = Duration::from_hours(24);
/// An unknown key id makes us read the set, but no more often than this, however many unknown ids arrive.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(2);

/// Where the keys come from.
#[derive(Clone)]
pub struct KeySource(Arc<Kind>);

enum Kind {
    Remote(Remote),
    /// A set that does not change.
    Fixed(HashMap<String, DecodingKey>),
    /// The auth service's own.
    Own(OwnKeys),
}

/// The keys of the process that issues the tokens, which it changes itself.
#[derive(Clone, Default)]
pub struct OwnKeys(Arc<std::sync::RwLock<HashMap<String, DecodingKey>>>);

struct Remote {
    url: String,
    client: reqwest::Client,
    known: RwLock<Known>,
    /// Held while the set is read, so that it is read once.
    reading: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, DecodingKey>,
    read_at: Option<Instant>,
}

/// Why the keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The auth service did not answer with a key set.
    #[error("the auth service did not give its keys")]
    Fetch(#[source] reqwest::Error),
    /// A key of the set cannot be used.
    #[error("a key of the set cannot be used")]
    Key(#[source] jsonwebtoken::errors::Error),
}

impl KeySource {
    /// The keys that the auth service at `url` publishes.
    pub fn remote(url: &str) -> Result<Self, KeysError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(KeysError::Fetch)?;
        let url = format!("{}/.well-known/jwks.json", url.trim_end_matches('/'));
        Ok(Self(Arc::new(Kind::Remote(Remote { url, client, known: RwLock::default(), reading: Mutex::new(None) }))))
    }

    /// The keys of `set`, for good.
    pub fn fixed(set: &JwkSet) -> Result<Self, KeysError> {
        Ok(Self(Arc::new(Kind::Fixed(decoding_keys(set)?))))
    }

    /// The keys of this very process.
    #[must_use]
    pub fn own(keys: OwnKeys) -> Self {
        Self(Arc::new(Kind::Own(keys)))
    }

    /// The key `kid`, or `None` where the set has no such key.
    pub async fn get(&self, kid: &str) -> Result<Option<DecodingKey>, KeysError> {
        match &*self.0 {
            Kind::Fixed(keys) => Ok(keys.get(kid).cloned()),
            Kind::Own(keys) => Ok(keys.get(kid)),
            Kind::Remote(remote) => remote.get(kid).await,
        }
    }
}

impl OwnKeys {
    /// From now on, the keys of `set`.
    pub fn replace(&self, set: &JwkSet) -> Result<(), KeysError> {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = decoding_keys(set)?;
        Ok(())
    }

    fn get(&self, kid: &str) -> Option<DecodingKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }
}

impl Remote {
    async fn get(&self, kid: &str) -> Result<Option<DecodingKey>, KeysError> {
        {
            let known = self.known.read().await;
            let fresh = known.read_at.is_some_and(|at| at.elapsed() < FRESH);
            if let (true, Some(key)) = (fresh, known.keys.get(kid)) {
                return Ok(Some(key.clone()));
            }
        }
        let outcome = self.read_again().await;
        let known = self.known.read().await;
        let believed = known.read_at.is_some_and(|at| at.elapsed() < BELIEVED);
        match (outcome, known.keys.get(kid)) {
            (_, Some(key)) if believed => Ok(Some(key.clone())),
            (Err(error), _) => Err(error),
            (Ok(()), _) => Ok(None),
        }
    }

    /// Reads the set, unless that was tried a moment ago.
    async fn read_again(&self) -> Result<(), KeysError> {
        let mut last_try = self.reading.lock().await;
        if last_try.is_some_and(|at| at.elapsed() < UNKNOWN_KEY_PAUSE) && self.known.read().await.read_at.is_some() {
            return Ok(());
        }
        *last_try = Some(Instant::now());
        let answer = self.client.get(&self.url).send().await.and_then(reqwest::Response::error_for_status);
        let set: JwkSet = answer.map_err(KeysError::Fetch)?.json().await.map_err(KeysError::Fetch)?;
        let keys = decoding_keys(&set)?;
        *self.known.write().await = Known { keys, read_at: Some(Instant::now()) };
        Ok(())
    }
}

fn decoding_keys(set: &JwkSet) -> Result<HashMap<String, DecodingKey>, KeysError> {
    let named = set.keys.iter().filter_map(|jwk| Some((jwk.common.key_id.clone()?, jwk)));
    named.map(|(kid, jwk)| Ok((kid, DecodingKey::from_jwk(jwk).map_err(KeysError::Key)?))).collect()
}
