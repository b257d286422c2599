//! Events between services: the relay publishes a database's outbox, consumers take events once.

mod consumer;
mod relay;

use std::time::Duration;

use rdkafka::{ClientConfig, error::KafkaError, producer::FutureProducer};

pub use consumer::{HandleError, Handler, consume};
pub use relay::{OutboxSignal, relay};

/// Where Kafka is.
#[derive(Debug, Clone, clap::Args)]
pub struct KafkaArgs {
    /// Addresses of Kafka brokers, comma-separated
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", default_value = "127.0.0.1:9092")]
    pub kafka_bootstrap_servers: String,

    /// Put before the names of topics and consumer groups, so that several shops can share a cluster
    #[arg(long, env = "KAFKA_PREFIX", default_value = "")]
    pub kafka_prefix: String,
}

/// How long a message may take to be on every in-sync replica before publishing it counts as failed.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

impl KafkaArgs {
    fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.kafka_prefix)
    }

    /// Settings of every client. The small buffers are what keeps an idle service small.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.kafka_bootstrap_servers)
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            .set("log.connection.close", "false");
        config
    }

    /// A producer whose messages are on every in-sync replica, in order and once, when it says so.
    fn producer(&self) -> Result<FutureProducer, KafkaError> {
        self.client()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "2")
            .set("delivery.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
            .set("queue.buffering.max.kbytes", "8192")
            .create()
    }
}
