//! From a topic's spec to what to compare with the brokers. Pure.

use api::StoreTopicSpec;

use super::plan::Desired;
use crate::framework::host_in;

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

/// The brokers' addresses as the operator finds them: those of Services beside the resource may be short.
pub(super) fn addresses(servers: &str, namespace: &str) -> Vec<String> {
    let address = |address: &str| match address.split_once(':') {
        Some((host, port)) => format!("{}:{port}", host_in(namespace, host)),
        None => address.to_owned(),
    };
    servers.split(',').map(address).collect()
}

fn positive(field: &'static str, number: i32) -> Result<u32, ValidateError> {
    u32::try_from(number).ok().filter(|number| *number > 0).ok_or(ValidateError { field, number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_a_service_beside_the_resource() {
        assert_eq!(addresses("green-kafka:9092", "shop"), ["green-kafka.shop.svc:9092"]);
        let elsewhere = ["green-kafka.other.svc:9092", "kafka.example.com:9093", "10.0.0.1:9092"];
        assert_eq!(addresses(&elsewhere.join(","), "shop"), elsewhere);
    }
}
