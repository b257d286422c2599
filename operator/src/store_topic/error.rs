//! Why a topic could not be reconciled.

use api::Reason;

use super::{brokers::BrokerError, validate::ValidateError};
use crate::framework::{FinalizerError, NotLeading, ReconcileError, Retry, StatusError};

/// A failed step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The spec cannot be carried out.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// The brokers could not be brought to what is wanted.
    #[error(transparent)]
    Brokers(#[from] BrokerError),
    /// The topic cannot be deleted, as its policy asks.
    #[error("the topic cannot be deleted; set deletionPolicy to Retain to let the resource go without it")]
    Delete(#[source] BrokerError),
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
            Self::Brokers(error) | Self::Delete(error) => broker_reason(error),
            Self::Status(error) => error.reason(),
            Self::Finalizer(error) => error.reason(),
            Self::NotLeading(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Validate(_) => Retry::OnChange,
            Self::Brokers(error) if error.is_final() => Retry::OnChange,
            Self::Brokers(_) | Self::Delete(_) | Self::Status(_) | Self::Finalizer(_) | Self::NotLeading(_) => {
                Retry::Backoff
            }
        }
    }
}

fn broker_reason(error: &BrokerError) -> Reason {
    match error {
        BrokerError::Client { .. } => Reason::SpecInvalid,
        BrokerError::Unreachable { .. } | BrokerError::Request { .. } | BrokerError::Stopping => {
            Reason::BrokerUnreachable
        }
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
        assert_eq!(refused(RDKafkaErrorCode::InvalidReplicationFactor).retry(), Retry::Backoff);
        assert_eq!(Error::Brokers(BrokerError::Unsettled).retry(), Retry::Backoff);
    }
}
