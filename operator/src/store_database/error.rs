//! What can go wrong with a database, a step an enum.

use super::sql::{Identifier, InvalidIdentifier};

/// The resource cannot be carried out as it stands, or as the cluster stands.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The object was not read from an API server.
    #[error("the object has no namespace or uid")]
    NotStored,
    /// Not exactly one of the modes is set; the schema refuses that.
    #[error("set exactly one of managed and external")]
    Mode,
    /// The port is none; the schema refuses that.
    #[error("{0} is no TCP port")]
    Port(i32),
    /// A database's name cannot be one.
    #[error("a database cannot have its name")]
    Name(#[from] InvalidIdentifier),
    /// The spec changed between reading and validating.
    #[error("the Secret of database {0} has not been read")]
    Unread(Identifier),
    /// The superuser's Secret is gone, or has no password, while the volume is there.
    #[error(
        "Secret {secret} has no password, but PersistentVolumeClaim {volume} holds data that only this password opens. Put the \
         Secret back with the keys username and password, or delete the claim to start with an empty server"
    )]
    CredentialsLost {
        /// The Secret.
        secret: String,
        /// The volume's claim.
        volume: String,
    },
    /// The administrator's Secret does not exist.
    #[error(
        "Secret {secret} does not exist: create it with the keys username and password of a role that may create databases and roles"
    )]
    AdminMissing {
        /// The Secret.
        secret: String,
    },
    /// The administrator's Secret lacks something.
    #[error("Secret {secret} has no key {key}, or an empty one")]
    AdminInvalid {
        /// The Secret.
        secret: String,
        /// The key.
        key: &'static str,
    },
}
