//! A new signing key on request: after a leak, or because it is Monday.

use kit::auth::OwnKeys;

use crate::keyring::{KeyRing, KeyRingError};

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum RotateKeysError {
    /// The address of the database is malformed.
    #[error("the database cannot be connected to")]
    Connect(#[from] db::ConnectError),
    /// The database did not take it.
    #[error("the signing keys cannot be changed")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<KeyRingError> for RotateKeysError {
    fn from(error: KeyRingError) -> Self {
        Self::Keys(Box::new(error))
    }
}

/// Makes a new signing key and gives its id; repeated before that one signs, it gives the same.
///
/// The new key is published at once and signs from its sixth minute on, when every verifier has read it. The one before
/// stays published until the last token it signed has expired, so that nobody is logged out.
pub async fn rotate_keys(args: &db::DatabaseArgs) -> Result<String, RotateKeysError> {
    let database = db::Database::connect(args, "auth-keys")?;
    let newest = KeyRing::new(database.clone(), OwnKeys::default()).rotate().await;
    database.close().await;
    Ok(newest?)
}
