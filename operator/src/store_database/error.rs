//! What can go wrong with a database, a step an enum.

use api::{ConditionType, Reason};

use super::{
    dereference::DereferenceError,
    sql::{Identifier, InvalidAuthorities, InvalidIdentifier, SqlError},
};
use crate::framework::{
    ApplyError, FinalizerError, Finding, NotLeading, ReconcileError, Retry, StatusError, Unreachable, chain,
};

/// The resource cannot be carried out as it stands, or as the cluster stands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValidateError {
    /// Not exactly one of the modes is set; the schema refuses that.
    #[error("set exactly one of managed and external")]
    Mode,
    /// The port is none; the schema refuses that.
    #[error("{0} is no TCP port")]
    Port(i32),
    /// A database's name cannot be one.
    #[error("a database cannot have its name")]
    Name(#[from] InvalidIdentifier),
    /// The age at which passwords are replaced is none; the schema refuses that.
    #[error("spec.passwordRotation.interval is {0:?}: write a duration such as 720h")]
    Interval(String),
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
    /// The server's certificate is to be verified, and nothing is named to do that with; the schema refuses that.
    #[error("tls.mode VerifyFull needs tls.caSecretRef: name the Secret with the certificates of the authorities")]
    AuthoritiesUnnamed,
    /// The Secret with the certificates of the authorities does not exist.
    #[error(
        "Secret {secret} does not exist: create it with the key {key}, the certificates (PEM) of the authorities that may \
         have signed the server's"
    )]
    AuthoritiesMissing {
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
    },
    /// The Secret has no certificates that can be used.
    #[error(
        "the key {key} of Secret {secret} {why}: put the certificates (PEM) there of the authorities that may have signed \
         the server's, and no others"
    )]
    AuthoritiesInvalid {
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
        /// What is wrong with what is there.
        why: InvalidAuthorities,
    },
}

/// Why a database could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something it refers to could not be read.
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    /// It cannot be carried out.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// A child could not be written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The PostgreSQL server cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The PostgreSQL server could not be brought to what is wanted.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The finalizer could not be changed.
    #[error(transparent)]
    Finalizer(#[from] FinalizerError),
    /// Another process leads by now.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

impl ReconcileError for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Dereference(_) => Reason::ReadFailed,
            Self::Validate(error) => error.reason(),
            Self::Apply(error) => error.reason(),
            Self::Unreachable(_) => Reason::DatabaseUnreachable,
            Self::Sql(error) => sql_reason(error),
            Self::Status(error) => error.reason(),
            Self::Finalizer(error) => error.reason(),
            Self::NotLeading(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Validate(error) => error.retry(),
            Self::Apply(error) => error.retry(),
            Self::Unreachable(_) => Retry::Steady,
            Self::Sql(error) => sql_retry(error),
            Self::Dereference(_) | Self::Status(_) | Self::Finalizer(_) | Self::NotLeading(_) => Retry::Backoff,
        }
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Sql(SqlError::NotLeading(_)) => Vec::new(),
            Self::Unreachable(_) | Self::Sql(_) | Self::Validate(ValidateError::CredentialsLost { .. }) => {
                vec![Finding::no(ConditionType::ServerReady, self.reason(), chain(self))]
            }
            _ => Vec::new(),
        }
    }
}

impl ValidateError {
    fn reason(&self) -> Reason {
        match self {
            Self::CredentialsLost { .. } => Reason::CredentialsLost,
            Self::AdminMissing { .. } | Self::AuthoritiesMissing { .. } => Reason::SecretMissing,
            Self::AdminInvalid { .. } | Self::AuthoritiesInvalid { .. } => Reason::SecretInvalid,
            Self::Mode
            | Self::Port(_)
            | Self::Name(_)
            | Self::Interval(_)
            | Self::Unread(_)
            | Self::AuthoritiesUnnamed => Reason::SpecInvalid,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // A Secret wakes its readers when it comes or changes. The superuser's bears no label once somebody put it
            // back, and is named by nobody.
            Self::CredentialsLost { .. } => Retry::Steady,
            Self::AdminMissing { .. }
            | Self::AdminInvalid { .. }
            | Self::AuthoritiesMissing { .. }
            | Self::AuthoritiesInvalid { .. }
            | Self::Unread(_) => Retry::Backoff,
            Self::Mode | Self::Port(_) | Self::Name(_) | Self::Interval(_) | Self::AuthoritiesUnnamed => {
                Retry::OnChange
            }
        }
    }
}

/// What the server's own administrator can mend is looked at steadily: nothing tells when that is done.
fn sql_retry(error: &SqlError) -> Retry {
    match error {
        SqlError::Silent(_)
        | SqlError::Tls(_)
        | SqlError::Connect(_)
        | SqlError::Observe(_)
        | SqlError::Probe { .. }
        | SqlError::Run { .. } => Retry::Steady,
        SqlError::Deadline | SqlError::Unsettled | SqlError::Randomness(_) | SqlError::NotLeading(_) => Retry::Backoff,
    }
}

fn sql_reason(error: &SqlError) -> Reason {
    match error {
        SqlError::Connect(_) if error.is_login_refused() => Reason::DatabaseLoginRefused,
        SqlError::Silent(_) | SqlError::Tls(_) | SqlError::Connect(_) | SqlError::Deadline => {
            Reason::DatabaseUnreachable
        }
        SqlError::NotLeading(error) => error.reason(),
        SqlError::Observe(_)
        | SqlError::Probe { .. }
        | SqlError::Run { .. }
        | SqlError::Unsettled
        | SqlError::Randomness(_) => Reason::DatabaseStatementFailed,
    }
}
