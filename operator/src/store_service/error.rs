//! What can go wrong with a StoreService.

use api::{ConditionType, Reason};

use super::{dereference::DereferenceError, validate::ValidateError};
use crate::framework::{ApplyError, Finding, ReconcileError, Retry, StatusError, chain};

/// The step that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreServiceError {
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    #[error(transparent)]
    Validate(#[from] ValidateError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl ReconcileError for StoreServiceError {
    fn reason(&self) -> Reason {
        match self {
            Self::Dereference(error) => error.reason(),
            Self::Validate(error) => error.reason(),
            Self::Apply(error) => error.reason(),
            Self::Status(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Dereference(error) => error.retry(),
            Self::Validate(error) => error.retry(),
            Self::Apply(error) => error.retry(),
            Self::Status(error) => error.retry(),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let time_will_do = match self {
            Self::Validate(error) => !error.reason().is_failure(),
            Self::Dereference(_) | Self::Apply(_) | Self::Status(_) => self.retry() == Retry::Backoff,
        };
        let (reason, message) = (self.reason(), chain(self));
        vec![Finding { condition: ConditionType::Progressing, holds: time_will_do, reason, message }]
    }
}

#[cfg(test)]
mod tests {
    use super::{super::guest::GuestError, *};

    fn is_progressing(error: impl Into<StoreServiceError>) -> (bool, Reason) {
        let findings = error.into().findings();
        assert_eq!(findings.len(), 1);
        (findings[0].holds, findings[0].reason)
    }

    #[test]
    fn a_service_that_somebody_has_to_help_is_not_on_its_way() {
        let missing = ValidateError::SecretMissing("login".to_owned());
        assert_eq!(is_progressing(missing), (false, Reason::SecretMissing));
        let taken = ApplyError::NameTaken { object: "Service shop/green".to_owned(), owner: "somebody".to_owned() };
        assert_eq!(is_progressing(taken), (false, Reason::NameTaken));
    }

    #[test]
    fn a_service_that_time_will_help_is_on_its_way() {
        let [database, store] = ["parcels", "green"].map(str::to_owned);
        let waits = ValidateError::Guest(GuestError::NoDatabase { database, store });
        assert_eq!(is_progressing(waits), (true, Reason::WaitingForData));
        let source = Box::new(kube::Error::Service("connection refused".into()));
        let away = ApplyError::Read { object: "Service shop/green".to_owned(), source };
        assert_eq!(is_progressing(away), (true, Reason::ReadFailed));
    }
}
