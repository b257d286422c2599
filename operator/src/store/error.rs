//! What can go wrong with a Store.

use api::{ConditionType, Reason};

use super::{dereference::DereferenceError, validate::ValidateError};
use crate::framework::{ApplyError, FinalizerError, Finding, ReconcileError, Retry, StatusError, chain};

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

    fn findings(&self) -> Vec<Finding> {
        let (reason, message) = (self.reason(), chain(self));
        if self.retry() == Retry::Backoff {
            // The API server is in trouble: time will do, and whether the store needs a hand is not known anew.
            return vec![Finding::yes(ConditionType::Progressing, reason, message)];
        }
        vec![
            Finding::no(ConditionType::Progressing, reason, message.clone()),
            Finding::yes(ConditionType::Degraded, reason, message),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: &StoreError) -> Vec<(ConditionType, bool, Reason)> {
        error.findings().iter().map(|finding| (finding.condition, finding.holds, finding.reason)).collect()
    }

    fn refused(code: u16) -> StoreError {
        let mut status = kube::core::Status::failure("no", "");
        status.code = code;
        let (object, source) = ("Service shop/green".to_owned(), Box::new(kube::Error::Api(status.boxed())));
        ApplyError::Write { verb: "apply", object, source }.into()
    }

    #[test]
    fn a_store_that_somebody_has_to_mend_is_degraded_and_nothing_is_under_way() {
        let taken = ApplyError::NameTaken { object: "Service shop/green".to_owned(), owner: "somebody".to_owned() };
        let retained = ValidateError::DataRetained(vec!["green-kafka".to_owned()]);
        for error in [taken.into(), retained.into(), ValidateError::NoMode("kafka").into(), refused(403)] {
            let reason = error.reason();
            let expected = [(ConditionType::Progressing, false, reason), (ConditionType::Degraded, true, reason)];
            assert_eq!(told(&error), expected);
        }
    }

    #[test]
    fn a_store_whose_api_server_is_in_trouble_goes_on_trying() {
        assert_eq!(told(&refused(500)), [(ConditionType::Progressing, true, Reason::ApplyFailed)]);
    }
}
