//! From a topic's spec to what to compare with the brokers. Pure.

use api::StoreTopicSpec;

use super::plan::Desired;

/// A number in the spec is none of a topic; the schema refuses such.
#[derive(Debug, thiserror::Error)]
#[error("{field} must be a positive number, not {number}")]
pub(crate) struct ValidateError {
    field: &'static str,
    number: i32,
}

/// What the spec wants of the brokers.
pub(super) fn validate(spec: &StoreTopicSpec) -> Result<Desired, ValidateError> {
    Ok(Desired {
        partitions: positive("partitions", spec.partitions)?,
        replicas: positive("replicas", spec.replicas)?,
        config: spec.config.iter().map(|setting| (setting.name.clone(), setting.value.clone())).collect(),
    })
}

fn positive(field: &'static str, number: i32) -> Result<u32, ValidateError> {
    u32::try_from(number).ok().filter(|number| *number > 0).ok_or(ValidateError { field, number })
}
