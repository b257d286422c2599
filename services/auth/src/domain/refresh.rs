//! Refresh tokens (RFC 9700, section 4.14.2): each is used once, and what follows from it is known in advance.
//!
//! A session holds a random key; the successor of a token is the HMAC of that token under the key. So a client whose
//! answer was lost, or whose fifty tabs refresh at once, gets the very same successor again, and a session never has two
//! live branches. The database holds the key and a hash of the current token: neither it nor an old token alone gives a
//! valid one. A token that is two or more steps old is known for what it is, because the chain leads from it to the current
//! one: somebody else holds it, and the session ends.

use std::{fmt, str::FromStr};

use aws_lc_rs::{constant_time, hmac, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use types::SessionId;
use uuid::Uuid;

/// Days after which a session ends however often it is used.
pub(crate) const SESSION_LIFETIME_DAYS: i32 = 30;

/// Refreshes after which a session ends: ten a quarter of an hour, for its whole life.
const LONGEST_CHAIN: u32 = 30_000;

/// So that a leaked token is known for what it is by secret scanners.
const PREFIX: &str = "gcr_";

const BYTES: usize = 16 + 4 + 32;

/// A refresh token: its session, its place in the session's chain, and the secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    session: SessionId,
    generation: u32,
    secret: [u8; 32],
}

/// What the database holds of a session's chain.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) key: Vec<u8>,
    pub(crate) generation: u32,
    pub(crate) current_hash: Vec<u8>,
}

/// What a presented token is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    /// The current one: this follows it.
    Current(RefreshToken),
    /// The one before, whose successor nobody has used: the client did not get it, and gets it again.
    Retried(RefreshToken),
    /// An older one that was used up: it was stolen, or its successor was.
    Replayed,
    /// Not a token of this session.
    Foreign,
}

/// It is not a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token")]
pub(crate) struct NotAToken;

impl RefreshToken {
    /// The first token of a new session.
    pub(crate) fn first(session: SessionId) -> Self {
        Self { session, generation: 0, secret: random() }
    }

    pub(crate) const fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    /// What the database keeps of it.
    pub(crate) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.secret).to_vec()
    }

    /// The text for the client.
    pub(crate) fn encode(&self) -> String {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(self.session.as_uuid().as_bytes());
        bytes[16..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..].copy_from_slice(&self.secret);
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    fn next(&self, key: &hmac::Key) -> Self {
        let mut context = hmac::Context::with_key(key);
        context.update(&self.generation.to_be_bytes());
        context.update(&self.secret);
        let mut secret = [0; 32];
        secret.copy_from_slice(context.sign().as_ref());
        Self { session: self.session, generation: self.generation + 1, secret }
    }
}

impl FromStr for RefreshToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let text = text.strip_prefix(PREFIX).filter(|text| text.len() <= BYTES * 2).ok_or(NotAToken)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAToken)?;
        let bytes: [u8; BYTES] = bytes.try_into().map_err(|_| NotAToken)?;
        let (session, rest) = bytes.split_first_chunk::<16>().ok_or(NotAToken)?;
        let (generation, secret) = rest.split_first_chunk::<4>().ok_or(NotAToken)?;
        Ok(Self {
            session: Uuid::from_bytes(*session).into(),
            generation: u32::from_be_bytes(*generation),
            secret: secret.try_into().map_err(|_| NotAToken)?,
        })
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken({}, {}, …)", self.session, self.generation)
    }
}

impl Chain {
    /// A new chain that begins with `first`.
    pub(crate) fn beginning_with(first: &RefreshToken) -> Self {
        Self { key: random().to_vec(), generation: 0, current_hash: first.hash() }
    }

    /// What `token` is to this chain.
    pub(crate) fn judge(&self, token: &RefreshToken) -> Presented {
        if token.generation > self.generation || self.generation >= LONGEST_CHAIN {
            return Presented::Foreign;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let steps = self.generation - token.generation;
        let reached = (0..steps).fold(token.clone(), |token, _| token.next(&key));
        if constant_time::verify_slices_are_equal(&reached.hash(), &self.current_hash).is_err() {
            return Presented::Foreign;
        }
        match steps {
            0 => Presented::Current(token.next(&key)),
            1 => Presented::Retried(reached),
            _ => Presented::Replayed,
        }
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> (Chain, RefreshToken) {
        let first = RefreshToken::first(SessionId::new());
        (Chain::beginning_with(&first), first)
    }

    fn refresh(chain: &mut Chain, token: &RefreshToken) -> RefreshToken {
        let Presented::Current(next) = chain.judge(token) else { panic!("the token is current") };
        chain.generation = next.generation();
        chain.current_hash = next.hash();
        next
    }

    #[test]
    fn a_token_survives_the_wire() {
        let (_, first) = session();
        assert_eq!(first.encode().parse(), Ok(first));
    }

    #[test]
    fn a_lost_answer_is_given_again() {
        let (mut chain, first) = session();
        let second = refresh(&mut chain, &first);
        assert_eq!(chain.judge(&first), Presented::Retried(second.clone()));
        assert_eq!(chain.judge(&first), Presented::Retried(second));
    }

    #[test]
    fn a_token_whose_successor_was_used_is_a_replay() {
        let (mut chain, first) = session();
        let second = refresh(&mut chain, &first);
        let third = refresh(&mut chain, &second);
        assert_eq!(chain.judge(&first), Presented::Replayed);
        assert!(matches!(chain.judge(&second), Presented::Retried(again) if again == third));
        assert!(matches!(chain.judge(&third), Presented::Current(_)));
    }

    #[test]
    fn a_made_up_token_does_not_end_a_session() {
        let (mut chain, first) = session();
        let second = refresh(&mut chain, &first);
        refresh(&mut chain, &second);
        for generation in [0, 1, 2, 3, u32::MAX] {
            let made_up = RefreshToken { generation, secret: [7; 32], ..first.clone() };
            assert_eq!(chain.judge(&made_up), Presented::Foreign, "{generation}");
        }
        let renumbered = RefreshToken { generation: 1, ..first };
        assert_eq!(chain.judge(&renumbered), Presented::Foreign);
    }

    #[test]
    fn a_chain_ends_somewhere() {
        let (mut chain, first) = session();
        chain.generation = LONGEST_CHAIN;
        assert_eq!(chain.judge(&RefreshToken { generation: LONGEST_CHAIN, ..first }), Presented::Foreign);
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        for text in ["", "gcr_", "gcr_%%%", "gcr_AAAA", "AAAA", "gcr_\0"] {
            assert_eq!(text.parse::<RefreshToken>(), Err(NotAToken), "{text}");
        }
        assert!(format!("gcr_{}", "A".repeat(1 << 20)).parse::<RefreshToken>().is_err());
    }
}
