//! Why a topic could not be reconciled.

use api::Reason;

use super::{brokers::BrokerError, validate::ValidateError};
use crate::framework::{ApplyError, FinalizerError, NotLeading, ReconcileError, Retry, StatusError, Unreachable};

/// Why a topic could not be deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    /// No broker can be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The brokers were asked.
    #[error(transparent)]
    Brokers(#[from] BrokerError),
}

impl DeleteError {
    /// Whether no broker answered.
    pub(super) fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Brokers(BrokerError::Silent(_) | BrokerError::Unreachable { .. } | BrokerError::Request { .. })
        )
    }
}

/// A failed step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The spec cannot be carried out.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// No broker can be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The brokers could not be brought to what is wanted.
    #[error(transparent)]
    Brokers(#[from] BrokerError),
    /// The topic cannot be deleted, as its policy asks.
    #[error("the topic cannot be deleted; set deletionPolicy to Retain to let the resource go without it")]
    Delete(#[source] DeleteError),
    /// Whether it may still be deleted could not be asked.
    #[error(transparent)]
    Apply(#[from] ApplyError),
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
            Self::Validate(_) => Reason::SpecInvalid,
            Self::Unreachable(_) | Self::Delete(DeleteError::Unreachable(_)) => Reason::BrokerUnreachable,
            Self::Brokers(error) | Self::Delete(DeleteError::Brokers(error)) => broker_reason(error),
            Self::Apply(error) => error.reason(),
            Self::Status(error) => error.reason(),
            Self::Finalizer(error) => error.reason(),
            Self::NotLeading(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Validate(_) => Retry::OnChange,
            Self::Brokers(error) if error.is_final() => Retry::OnChange,
            Self::Unreachable(_) | Self::Delete(DeleteError::Unreachable(_)) => Retry::Steady,
            Self::Brokers(error) | Self::Delete(DeleteError::Brokers(error)) => broker_retry(error),
            Self::Apply(error) => error.retry(),
            Self::Status(_) | Self::Finalizer(_) | Self::NotLeading(_) => Retry::Backoff,
        }
    }
}

/// What the brokers' own administrator can mend is looked at steadily: nothing tells when that is done.
fn broker_retry(error: &BrokerError) -> Retry {
    match error {
        BrokerError::Silent(_)
        | BrokerError::Unreachable { .. }
        | BrokerError::Request { .. }
        | BrokerError::Refused { .. } => Retry::Steady,
        BrokerError::Client { .. }
        | BrokerError::SettingsRefused { .. }
        | BrokerError::Unsettled
        | BrokerError::Stopping
        | BrokerError::NotLeading(_) => Retry::Backoff,
    }
}

fn broker_reason(error: &BrokerError) -> Reason {
    match error {
        BrokerError::Client { .. } => Reason::SpecInvalid,
        BrokerError::NotLeading(error) => error.reason(),
        BrokerError::Silent(_)
        | BrokerError::Unreachable { .. }
        | BrokerError::Request { .. }
        | BrokerError::Stopping => Reason::BrokerUnreachable,
        BrokerError::Refused { .. } | BrokerError::SettingsRefused { .. } | BrokerError::Unsettled => {
            Reason::TopicRefused
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;

    fn refused(source: RDKafkaErrorCode) -> Error {
        Error::Brokers(BrokerError::Refused { action: "create the topic", source })
    }

    #[test]
    fn only_what_a_change_of_the_spec_can_help_waits_for_one() {
        assert_eq!(refused(RDKafkaErrorCode::InvalidConfig).retry(), Retry::OnChange);
        for brokers_own in [RDKafkaErrorCode::InvalidReplicationFactor, RDKafkaErrorCode::PolicyViolation] {
            assert_eq!(refused(brokers_own).retry(), Retry::Steady, "{brokers_own:?}");
        }
        assert_eq!(Error::Brokers(BrokerError::Unsettled).retry(), Retry::Backoff);
    }
}
