//! Kafka topics for one test.

use std::time::Duration;

use devenv::backing::Kafka;
use events::{CloudEvent, Event, TOPICS};
use kit::kafka::KafkaArgs;
use rdkafka::{
    ClientConfig, Message as _,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _, StreamConsumer},
    error::{KafkaResult, RDKafkaErrorCode},
    message::BorrowedMessage,
    producer::{FutureProducer, FutureRecord},
};
use tokio::sync::OnceCell;
use waitkit::DEADLINE;

use crate::backing;

/// Two, so that order by key and order on the topic are not the same thing.
const PARTITIONS: i32 = 2;
const TIMEOUT: Duration = Duration::from_secs(20);

/// Every topic of a store, under a prefix that no other test has.
#[derive(Debug)]
pub struct TestEvents {
    args: KafkaArgs,
}

/// A reader of one topic, from its beginning.
pub struct Subscription {
    consumer: StreamConsumer,
}

impl TestEvents {
    /// New, empty topics.
    ///
    /// # Panics
    ///
    /// When Kafka cannot be started.
    pub async fn new() -> Self {
        static CLEANED: OnceCell<()> = OnceCell::const_new();
        let server = backing::kafka().await;
        CLEANED.get_or_init(|| remove_abandoned(server)).await;
        let prefix = format!("{}_", backing::unique());
        let names: Vec<String> = TOPICS.iter().map(|topic| format!("{prefix}{topic}")).collect();
        let topics: Vec<NewTopic<'_>> =
            names.iter().map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1))).collect();
        let outcomes = admin(server).create_topics(&topics, &options()).await.expect("Kafka answers");
        for outcome in outcomes {
            outcome.expect("Kafka makes the topic");
        }
        Self { args: KafkaArgs { kafka_bootstrap_servers: server.bootstrap_servers(), kafka_prefix: prefix } }
    }

    /// Where they are, as services take it.
    #[must_use]
    pub fn args(&self) -> KafkaArgs {
        self.args.clone()
    }

    /// Puts `event` on its topic, as its service would.
    ///
    /// # Panics
    ///
    /// When Kafka does not take it.
    pub async fn publish<E: Event>(&self, event: &CloudEvent<E>) {
        self.publish_raw::<E>(&event.subject, &event.encode()).await;
    }

    /// Puts any bytes on the topic of `E`: what a broken or newer producer might send.
    ///
    /// # Panics
    ///
    /// When Kafka does not take them.
    pub async fn publish_raw<E: Event>(&self, key: &str, value: &[u8]) {
        let producer: FutureProducer = self.client().create().expect("a producer can be made");
        let topic = format!("{}{}", self.args.kafka_prefix, E::TOPIC);
        let record = FutureRecord::to(&topic).key(key).payload(value);
        producer.send(record, TIMEOUT).await.expect("Kafka takes the message");
    }

    /// Reads the topic of `E` from its beginning.
    ///
    /// # Panics
    ///
    /// When Kafka cannot be read.
    #[must_use]
    pub fn subscribe<E: Event>(&self) -> Subscription {
        self.subscribe_to(E::TOPIC)
    }

    /// Reads any topic of the store, such as the dead letters, from its beginning.
    ///
    /// # Panics
    ///
    /// When Kafka cannot be read.
    #[must_use]
    pub fn subscribe_to(&self, topic: &str) -> Subscription {
        let consumer: StreamConsumer = self
            .client()
            .set("group.id", backing::unique())
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "50")
            .create()
            .expect("a consumer can be made");
        let topic = format!("{}{topic}", self.args.kafka_prefix);
        consumer.subscribe(&[&topic]).expect("a topic can be subscribed to");
        Subscription { consumer }
    }

    fn client(&self) -> ClientConfig {
        client(&self.args.kafka_bootstrap_servers)
    }
}

impl Subscription {
    /// The next event.
    ///
    /// # Panics
    ///
    /// When none comes within [`DEADLINE`], or what comes is not of this kind.
    pub async fn next<E: Event>(&self) -> CloudEvent<E> {
        CloudEvent::decode(&self.next_raw().await).expect("the message is an event of this topic")
    }

    /// The value of the next message.
    ///
    /// # Panics
    ///
    /// When none comes within [`DEADLINE`].
    pub async fn next_raw(&self) -> Vec<u8> {
        let message = tokio::time::timeout(DEADLINE, self.receive()).await.expect("an event comes in time");
        message.expect("Kafka can be read").payload().unwrap_or_default().to_vec()
    }

    /// The next message. A topic that was made a moment ago may not be known to every part of the broker yet.
    async fn receive(&self) -> KafkaResult<BorrowedMessage<'_>> {
        loop {
            let message = self.consumer.recv().await;
            let unknown = Some(RDKafkaErrorCode::UnknownTopicOrPartition);
            if message.as_ref().err().is_none_or(|error| error.rdkafka_error_code() != unknown) {
                return message;
            }
        }
    }
}

/// Deletes the topics of processes that are no more.
async fn remove_abandoned(server: &'static Kafka) {
    let consumer: BaseConsumer = client(&server.bootstrap_servers()).create().expect("a consumer can be made");
    let listed = tokio::task::spawn_blocking(move || consumer.fetch_metadata(None, TIMEOUT)).await;
    let metadata = listed.expect("the listing is not cut short").expect("Kafka lists its topics");
    let names: Vec<&str> = metadata
        .topics()
        .iter()
        .map(rdkafka::metadata::MetadataTopic::name)
        .filter(|name| backing::is_abandoned(name))
        .collect();
    if !names.is_empty() {
        // Another process may delete the same ones at the same time.
        let _ = admin(server).delete_topics(&names, &options()).await;
    }
}

fn admin(server: &Kafka) -> AdminClient<DefaultClientContext> {
    client(&server.bootstrap_servers()).create().expect("an admin client can be made")
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT))
}

fn client(bootstrap_servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap_servers);
    config
}
