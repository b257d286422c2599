//! The topics of the shop, which the operator makes in a cluster.

use std::time::Duration;

use kit::{BuildError, kafka::KafkaArgs};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};

/// As many as the operator gives a topic where the shop does not say otherwise.
const PARTITIONS: i32 = 3;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes the topics that are missing.
pub(super) async fn prepare(kafka: &KafkaArgs) -> Result<(), BuildError> {
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &kafka.kafka_bootstrap_servers).create()?;
    let names: Vec<String> = events::TOPICS.iter().map(|topic| format!("{}{topic}", kafka.kafka_prefix)).collect();
    let topics: Vec<NewTopic<'_>> =
        names.iter().map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1))).collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    for outcome in client.create_topics(&topics, &options).await? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                tracing::error!(topic, %code, "a topic cannot be made");
                return Err(KafkaError::AdminOp(code).into());
            }
        }
    }
    Ok(())
}
