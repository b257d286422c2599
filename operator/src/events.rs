//! Where the events of a store are, whoever runs the brokers. Pure.

use api::{EnvVar, ExternalKafka};

use crate::framework::host_in;

/// The port of a broker that the operator runs.
pub(crate) const PORT: i32 = 9092;

/// The brokers of a store, and how its topics are kept there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Brokers {
    pub(crate) bootstrap_servers: String,
    /// Stands before the name of each topic.
    pub(crate) topic_prefix: String,
    /// Copies of each partition.
    pub(crate) topic_replicas: i32,
}

impl Brokers {
    /// The broker that the operator runs for a store.
    pub(crate) fn own(namespace: &str, store: &str) -> Self {
        let bootstrap_servers = format!("{}:{PORT}", host_in(namespace, &format!("{store}-kafka")));
        Self { bootstrap_servers, topic_prefix: String::new(), topic_replicas: 1 }
    }

    /// Brokers that somebody else runs.
    pub(crate) fn external(kafka: &ExternalKafka) -> Self {
        Self {
            bootstrap_servers: kafka.bootstrap_servers.clone(),
            topic_prefix: kafka.topic_prefix.clone(),
            topic_replicas: kafka.topic_replicas,
        }
    }

    /// The variables that tell clients where the events are.
    pub(crate) fn variables(&self) -> Vec<EnvVar> {
        let prefix = Some(&self.topic_prefix).filter(|prefix| !prefix.is_empty());
        let prefix = prefix.map(|prefix| EnvVar::of("KAFKA_PREFIX", prefix));
        [EnvVar::of("KAFKA_BOOTSTRAP_SERVERS", &self.bootstrap_servers)].into_iter().chain(prefix).collect()
    }
}
