//! What is really on Kafka.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::Store;

/// Every event on a topic of the store's managed Kafka, oldest first, as its command line consumer reads them. Takes some
/// seconds.
pub async fn events_of(store: &Store, topic: &str) -> Result<Vec<Value>> {
    let broker = format!("{}-0", store.child("kafka"));
    let consumer = [
        "exec",
        &broker,
        "--namespace",
        store.space().name(),
        "--",
        "env",
        "KAFKA_HEAP_OPTS=-Xmx64m",
        "/opt/kafka/bin/kafka-console-consumer.sh",
        "--bootstrap-server",
        "localhost:9092",
        "--topic",
        topic,
        "--from-beginning",
        "--timeout-ms",
        "4000",
    ];
    let printed = store.space().kubectl().run(consumer).await?;
    printed
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).with_context(|| format!("no event: {line}")))
        .collect()
}
