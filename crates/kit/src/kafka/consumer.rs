//! Consumers: each event is handled at least once, in order of its key; the handler's inbox makes that exactly once. A
//! message that no retry can help goes to the dead letters and does not stop its partition.

use std::{error::Error, time::Duration};

use events::{CloudEvent, DEAD_LETTERS, DecodeError, Event};
use rdkafka::{
    Message,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::KafkaError,
    message::{BorrowedMessage, Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use tokio_util::sync::CancellationToken;

use super::KafkaArgs;
use crate::telemetry::Chain;

/// The longest pause between two tries of one message.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What a service does with the events of one topic.
pub trait Handler: Send + Sync + 'static {
    /// What the topic carries.
    type Event: Event + 'static;

    /// Takes `event`. It may come again: note it in the inbox in the transaction of the effect.
    fn handle(&self, event: CloudEvent<Self::Event>) -> impl Future<Output = Result<(), HandleError>> + Send;
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// Trying again may help.
    #[error("the event could not be handled now")]
    Retry(#[source] Box<dyn Error + Send + Sync>),
    /// Trying again cannot help.
    #[error("the event cannot be handled")]
    Poison(#[source] Box<dyn Error + Send + Sync>),
}

impl From<sqlx::Error> for HandleError {
    /// Every failure of the database may pass, or be mended, while the event waits.
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(error.into())
    }
}

/// Hands the events of the handler's topic to it, as member of the consumer group `group`, until `stop`.
pub async fn consume<H: Handler>(kafka: KafkaArgs, group: &'static str, handler: H, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let outcome = stop.run_until_cancelled(take_all(&kafka, group, &handler)).await;
        if let Some(Err(error)) = outcome {
            tracing::warn!(group, topic = H::Event::TOPIC, error = %Chain(&error), "events wait");
            stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await;
        }
    }
}

async fn take_all<H: Handler>(kafka: &KafkaArgs, group: &str, handler: &H) -> Result<(), KafkaError> {
    let consumer: StreamConsumer = kafka
        .client()
        .set("group.id", format!("{}{group}.{}", kafka.kafka_prefix, H::Event::TOPIC))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "1000")
        .set("fetch.wait.max.ms", "500")
        .set("queued.min.messages", "100")
        .set("queued.max.messages.kbytes", "4096")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .create()?;
    consumer.subscribe(&[&kafka.topic(H::Event::TOPIC)])?;
    let dead_letters = kafka.producer()?;
    loop {
        match consumer.recv().await {
            Ok(message) => {
                take(&message, handler, &dead_letters, kafka).await?;
                consumer.commit_message(&message, CommitMode::Async)?;
            }
            // Topics are made by the operator; until then, and while brokers are away, wait.
            Err(KafkaError::MessageConsumption(code)) => {
                tracing::debug!(%code, topic = H::Event::TOPIC, "waiting for events");
            }
            Err(error) => return Err(error),
        }
    }
}

async fn take<H: Handler>(
    message: &BorrowedMessage<'_>,
    handler: &H,
    dead_letters: &FutureProducer,
    kafka: &KafkaArgs,
) -> Result<(), KafkaError> {
    let topic = H::Event::TOPIC;
    let mut pause = Duration::from_millis(100);
    loop {
        let event = match CloudEvent::<H::Event>::decode(message.payload().unwrap_or_default()) {
            Ok(event) => event,
            Err(DecodeError::UnknownType(name)) => {
                tracing::info!(topic, name, "skipped an event of a newer release");
                return Ok(());
            }
            Err(error) => return bury(message, &error, dead_letters, kafka).await,
        };
        let id = event.id;
        match handler.handle(event).await {
            Ok(()) => {
                metrics::counter!("events_consumed_total", "topic" => topic).increment(1);
                return Ok(());
            }
            Err(error @ HandleError::Poison(_)) => return bury(message, &error, dead_letters, kafka).await,
            Err(error @ HandleError::Retry(_)) => {
                tracing::warn!(topic, %id, error = %Chain(&error), "an event is tried again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Puts a message among the dead letters, with the reason.
async fn bury(
    message: &BorrowedMessage<'_>,
    error: &(dyn Error + Send + Sync + 'static),
    dead_letters: &FutureProducer,
    kafka: &KafkaArgs,
) -> Result<(), KafkaError> {
    let reason = Chain(error).to_string();
    tracing::error!(
        topic = message.topic(),
        partition = message.partition(),
        offset = message.offset(),
        reason,
        "dead letter"
    );
    metrics::counter!("events_dead_total", "topic" => message.topic().to_owned()).increment(1);
    let origin = format!("{}/{}/{}", message.topic(), message.partition(), message.offset());
    let headers = OwnedHeaders::new()
        .insert(Header { key: "origin", value: Some(&origin) })
        .insert(Header { key: "reason", value: Some(&reason) });
    let topic = kafka.topic(DEAD_LETTERS);
    let record = FutureRecord::to(&topic)
        .key(message.key().unwrap_or_default())
        .payload(message.payload().unwrap_or_default())
        .headers(headers);
    dead_letters.send(record, Timeout::After(super::DELIVERY_TIMEOUT)).await.map(|_| ()).map_err(|(error, _)| error)
}
