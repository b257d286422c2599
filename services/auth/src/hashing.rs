//! Hashing passwords: Argon2id, few at a time, so that a flood of logins cannot starve the shop of memory or cores.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use axum::http::{HeaderValue, StatusCode, header};
use kit::http::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Password;

/// Requests that may wait for their turn, for each one at work.
const WAITING_EACH: usize = 64;
/// How long a request waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// The hash of a password nobody knows, verified where there is no account: so that the answer takes as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIGl0$8rX0iXtL1xj4eBv0mJrl1UuH5J3tqg8z2mB7a0cQkFs";

/// A bound on how many passwords are hashed at a time, and on how many wait.
#[derive(Clone)]
pub(crate) struct PasswordPool {
    working: Arc<Semaphore>,
    present: Arc<Semaphore>,
}

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// Too many wait already.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// The stored hash is none, or hashing failed.
    #[error("the password cannot be hashed")]
    Hash(#[from] argon2::password_hash::Error),
    /// The parameters do not fit.
    #[error("the password cannot be hashed with these parameters")]
    Parameters(#[from] argon2::Error),
    /// The stored hash cannot be read.
    #[error("the stored hash cannot be read")]
    Stored(#[from] argon2::password_hash::phc::Error),
    /// The thread that hashed is gone.
    #[error("hashing was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

impl PasswordPool {
    /// As many at a time as there are cores.
    pub(crate) fn for_this_machine() -> Self {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(cores)
    }

    fn new(cores: usize) -> Self {
        let present = cores * (1 + WAITING_EACH);
        Self { working: Arc::new(Semaphore::new(cores)), present: Arc::new(Semaphore::new(present)) }
    }

    /// The PHC string of `password`.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, HashError> {
        self.run(move || hash(&password)).await
    }

    /// Whether `password` is the one of `stored`. Where nothing is stored it is not, and finding out takes as long.
    pub(crate) async fn verify(&self, password: Password, stored: Option<&str>) -> Result<bool, HashError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or(NOBODY).to_owned();
        let matches = self.run(move || verify(&password, &stored)).await?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let _present = self.present.try_acquire().map_err(|_| HashError::Busy)?;
        let turn = tokio::time::timeout(LONGEST_WAIT, self.working.clone().acquire_owned()).await;
        let turn: OwnedSemaphorePermit = turn.map_err(|_| HashError::Busy)?.expect("the semaphore is never closed");
        // The turn goes with the work, which goes on when the client does not wait for it.
        let work = move || {
            let result = work();
            drop(turn);
            result
        };
        tokio::task::spawn_blocking(work).await?
    }
}

/// The PHC string of `password`; takes tens of milliseconds and 19 MiB.
pub(crate) fn hash(password: &Password) -> Result<String, HashError> {
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).expect("the system gives random bytes");
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&recommended())?,
        salt: Some(Salt::new(&salt)?),
        hash: Some(compute(recommended(), password, &salt)?),
    };
    Ok(hash.to_string())
}

/// Whether `password` is the one of `stored`.
pub(crate) fn verify(password: &Password, stored: &str) -> Result<bool, HashError> {
    let stored = PasswordHash::new(stored)?;
    if stored.algorithm != Algorithm::Argon2id.ident() {
        return Err(argon2::password_hash::Error::Algorithm.into());
    }
    let salt = stored.salt.ok_or(argon2::password_hash::Error::SaltInvalid)?;
    let computed = compute(Params::try_from(&stored)?, password, &salt)?;
    // The comparison takes the same time wherever they differ.
    Ok(stored.hash == Some(computed))
}

fn compute(params: Params, password: &Password, salt: &[u8]) -> Result<Output, HashError> {
    let mut memory = memory(params.block_count());
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut memory)?;
    Ok(Output::new(&output)?)
}

/// Memory that goes back to the system when it is dropped. What is smaller than 32 MiB, the C library would keep for each
/// thread that ever hashed: hundreds of MiB after a busy minute. The part beyond `blocks` is never touched, so it costs nothing.
fn memory(blocks: usize) -> Vec<Block> {
    let mut memory = Vec::with_capacity(blocks.max(33 * 1024));
    memory.resize(blocks, Block::new());
    memory
}

/// The parameters that OWASP recommends for Argon2id: 19 MiB, two passes, one lane.
fn recommended() -> Params {
    Params::new(19 * 1024, 2, 1, None).expect("the parameters are within Argon2's bounds")
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => {
                let detail = "too many people log in at this moment: try again";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
                    .header(header::RETRY_AFTER, HeaderValue::from_static("2"))
            }
            HashError::Hash(_) | HashError::Parameters(_) | HashError::Stored(_) | HashError::BrokenOff(_) => {
                Self::internal(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::presented(text).unwrap()
    }

    #[test]
    fn a_hash_names_the_recommended_parameters() {
        let hash = hash(&password("tiffin ocean ladder")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(NOBODY.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "nobody's costs the same");
    }

    #[test]
    fn a_hash_of_another_program_is_understood() {
        // The reference implementation's: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32 -e`.
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(verify(&password("password"), stored).unwrap());
        assert!(!verify(&password("Password"), stored).unwrap());
        assert!(verify(&password("password"), "plain text").is_err());
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        assert_ne!(hash(&password("tiffin ocean ladder")).unwrap(), hash(&password("tiffin ocean ladder")).unwrap());
    }

    #[tokio::test]
    async fn only_the_right_password_of_somebody_is_accepted() {
        let pool = PasswordPool::new(1);
        let stored = pool.hash(password("tiffin ocean ladder")).await.unwrap();
        assert!(pool.verify(password("tiffin ocean ladder"), Some(&stored)).await.unwrap());
        assert!(!pool.verify(password("tiffin ocean Ladder"), Some(&stored)).await.unwrap());
        assert!(!pool.verify(password("tiffin ocean ladder"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_turned_away_rather_than_queued() {
        let pool = PasswordPool { working: Arc::new(Semaphore::new(1)), present: Arc::new(Semaphore::new(2)) };
        let calls: [_; 12] = std::array::from_fn(|_| pool.verify(password("flood"), None));
        let answers = futures::future::join_all(calls).await;
        let turned_away = answers.iter().filter(|answer| matches!(answer, Err(HashError::Busy))).count();
        assert_eq!(turned_away, 10);
    }
}
