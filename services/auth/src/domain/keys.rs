//! Which key signs, which keys verify, and when there is a new one.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const MINUTE: i64 = 60;

/// A key signs this long at most.
const ROTATE_AFTER: i64 = 90 * 24 * 60 * MINUTE;
/// A new key is published this long before it signs, so that every verifier has read it (they read once a minute).
const PUBLISHED_BEFORE_USE: i64 = 5 * MINUTE;
/// A key is published this long after it last signed: longer than a token lives.
const PUBLISHED_AFTER_USE: i64 = 60 * MINUTE;

/// A key as the database holds it.
#[derive(Debug, Clone)]
pub(crate) struct StoredKey {
    pub(crate) kid: String,
    /// PKCS #8 (RFC 8410).
    pub(crate) private_key: Vec<u8>,
    /// The 32 bytes of RFC 8032.
    pub(crate) public_key: Vec<u8>,
    /// Seconds since it was made, by the database's clock.
    pub(crate) age: i64,
}

/// A key to be stored.
pub(crate) struct NewKey {
    pub(crate) kid: String,
    pub(crate) private_key: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
}

/// What the stored keys are used for.
#[derive(Debug)]
pub(crate) struct KeyPlan {
    /// Signs from now on; none where there is no key yet.
    pub(crate) signing: Option<StoredKey>,
    /// Published.
    pub(crate) published: Vec<StoredKey>,
    /// Whether a new key is due.
    pub(crate) new_key_due: bool,
    /// Whether a new key may be made before it is due: not while the newest has yet to sign.
    pub(crate) new_key_allowed: bool,
}

impl KeyPlan {
    /// The use of `keys`.
    pub(crate) fn of(mut keys: Vec<StoredKey>) -> Self {
        keys.sort_by_key(|key| key.age);
        let new_key_due = keys.first().is_none_or(|newest| newest.age >= ROTATE_AFTER);
        let new_key_allowed = keys.first().is_none_or(|newest| newest.age >= PUBLISHED_BEFORE_USE);
        let signing = keys.iter().find(|key| key.age >= PUBLISHED_BEFORE_USE).or(keys.last()).cloned();
        let outdated = |successor: &StoredKey| successor.age >= PUBLISHED_BEFORE_USE + PUBLISHED_AFTER_USE;
        let published = keys.iter().position(outdated).map_or(keys.len(), |position| position + 1);
        keys.truncate(published);
        Self { signing, published: keys, new_key_due, new_key_allowed }
    }
}

impl NewKey {
    /// A new Ed25519 key; its id is its thumbprint (RFC 7638, RFC 8037 section 2).
    pub(crate) fn generate() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the system gives random bytes");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("it was made a line above");
        let public_key = pair.public_key().as_ref().to_vec();
        let x = BASE64_URL_SAFE_NO_PAD.encode(&public_key);
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(members));
        Self { kid, private_key: pkcs8.as_ref().to_vec(), public_key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(ages: &[i64]) -> (Option<i64>, Vec<i64>, bool) {
        let key = |age: &i64| StoredKey { kid: age.to_string(), private_key: vec![], public_key: vec![], age: *age };
        let plan = KeyPlan::of(ages.iter().map(key).collect());
        (plan.signing.map(|key| key.age), plan.published.iter().map(|key| key.age).collect(), plan.new_key_due)
    }

    #[test]
    fn the_first_key_signs_at_once() {
        assert_eq!(plan(&[]), (None, vec![], true));
        assert_eq!(plan(&[0]), (Some(0), vec![0], false));
    }

    #[test]
    fn a_new_key_signs_once_everybody_had_time_to_read_it() {
        assert_eq!(plan(&[ROTATE_AFTER]), (Some(ROTATE_AFTER), vec![ROTATE_AFTER], true));
        assert_eq!(plan(&[ROTATE_AFTER, 10]), (Some(ROTATE_AFTER), vec![10, ROTATE_AFTER], false));
        assert_eq!(plan(&[ROTATE_AFTER, 300]), (Some(300), vec![300, ROTATE_AFTER], false));
    }

    #[test]
    fn an_old_key_is_published_as_long_as_its_tokens_live() {
        assert_eq!(plan(&[ROTATE_AFTER, 3899]).1, vec![3899, ROTATE_AFTER]);
        assert_eq!(plan(&[ROTATE_AFTER, 3900]).1, vec![3900]);
    }

    #[test]
    fn on_request_there_is_one_new_key_at_a_time() {
        let allowed = |ages: &[i64]| {
            let key =
                |age: &i64| StoredKey { kid: age.to_string(), private_key: vec![], public_key: vec![], age: *age };
            KeyPlan::of(ages.iter().map(key).collect()).new_key_allowed
        };
        assert!(allowed(&[]) && allowed(&[300]) && allowed(&[ROTATE_AFTER, 300]));
        assert!(!allowed(&[0]) && !allowed(&[ROTATE_AFTER, 299]));
    }

    #[test]
    fn the_id_of_a_key_is_its_own() {
        assert_ne!(NewKey::generate().kid, NewKey::generate().kid);
        assert_eq!(NewKey::generate().kid.len(), 43);
    }
}
