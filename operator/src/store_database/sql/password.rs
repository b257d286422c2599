//! Passwords of roles: made here once, sent to the server only as a SCRAM verifier, never logged.

use std::{fmt, num::NonZeroU32};

use aws_lc_rs::{
    digest, hmac, pbkdf2,
    rand::{SecureRandom, SystemRandom},
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Characters of a generated password: safe unescaped in a URI, a shell and a libpq connection string.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// 32 characters out of 62 are 190 bits.
const LENGTH: usize = 32;

/// PostgreSQL's own default (`scram_iterations`). The password has 190 random bits, so stretching adds nothing.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("4096 is not zero");

const SALT_BYTES: usize = 16;

/// The operating system could not give random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// A role's password.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A new random password.
    pub fn generate() -> Result<Self, NoRandomness> {
        let random = SystemRandom::new();
        let mut text = String::with_capacity(LENGTH);
        let mut block = [0_u8; 64];
        while text.len() < LENGTH {
            random.fill(&mut block).map_err(|_| NoRandomness)?;
            // 248 is the largest multiple of 62 in a byte: what lies above would favour the alphabet's first letters.
            let fair = block.iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(*byte) % 62]);
            text.extend(fair.map(char::from).take(LENGTH - text.len()));
        }
        Ok(Self(text))
    }

    /// A password read from a Secret; `None` when it is empty.
    #[must_use]
    pub fn from_secret(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The password itself, for a Secret or a connection.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the server keeps of the password, with a new random salt.
    pub fn verifier(&self) -> Result<Verifier, NoRandomness> {
        let mut salt = [0_u8; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| NoRandomness)?;
        Ok(self.verifier_with(&salt, ITERATIONS))
    }

    fn verifier_with(&self, salt: &[u8], iterations: NonZeroU32) -> Verifier {
        let mut salted = [0_u8; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, self.0.as_bytes(), &mut salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        Verifier(format!(
            "SCRAM-SHA-256${iterations}:{salt}${stored}:{server}",
            salt = STANDARD.encode(salt),
            stored = STANDARD.encode(stored_key.as_ref()),
            server = STANDARD.encode(server_key.as_ref()),
        ))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A SCRAM-SHA-256 verifier in the form of `pg_authid.rolpassword` (RFC 5802 and RFC 7677): whoever reads it in a
/// statement log still cannot log in with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier(String);

impl Verifier {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_long_plain_and_different() {
        let first = Password::generate().unwrap();
        let second = Password::generate().unwrap();
        assert_eq!(first.expose().len(), LENGTH);
        assert!(first.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(first, second);
    }

    #[test]
    fn a_verifier_holds_the_keys_of_the_example_in_rfc_7677() {
        // RFC 7677 section 3: user "user", password "pencil", this salt, 4096 rounds. The stored key is checked by
        // the RFC's client proof, the server key by its server signature.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let password = Password::from_secret("pencil").unwrap();
        let verifier = password.verifier_with(&salt, ITERATIONS);
        let (_, keys) = verifier.as_str().rsplit_once('$').unwrap();
        let (stored, server) = keys.split_once(':').unwrap();
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                       r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                       c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let sign = |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());

        let signature = sign(&STANDARD.decode(server).unwrap());
        assert_eq!(STANDARD.encode(signature.as_ref()), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

        let stored = STANDARD.decode(stored).unwrap();
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let client_key: Vec<u8> = proof.iter().zip(sign(&stored).as_ref()).map(|(a, b)| a ^ b).collect();
        assert_eq!(digest::digest(&digest::SHA256, &client_key).as_ref(), stored);
    }

    #[test]
    fn debug_output_tells_nothing() {
        let password = Password::from_secret("pencil").unwrap();
        assert_eq!(format!("{password:?}"), "Password(..)");
        assert_eq!(format!("{:?}", password.verifier().unwrap()), "Verifier(..)");
    }
}
