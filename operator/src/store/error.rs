//! What can go wrong with a Store.

use api::Reason;

use super::{dereference::DereferenceError, validate::ValidateError};
use crate::framework::{ApplyError, FinalizerError, ReconcileError, Retry, StatusError};

/// The step that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    #[error(transparent)]
    Validate(#[from] ValidateError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Finalizer(#[from] FinalizerError),
}

impl ReconcileError for StoreError {
    fn reason(&self) -> Reason {
        match self {
            Self::Dereference(error) => error.reason(),
            Self::Validate(error) => error.reason(),
            Self::Apply(error) => error.reason(),
            Self::Status(error) => error.reason(),
            Self::Finalizer(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Dereference(error) => error.retry(),
            Self::Validate(error) => error.retry(),
            Self::Apply(error) => error.retry(),
            Self::Status(error) => error.retry(),
            Self::Finalizer(error) => error.retry(),
        }
    }
}
