//! The relay: publishes what a database's outbox holds, oldest first. Of all processes on the database one relays at a
//! time; another takes over when its connection ends.

use std::{sync::Arc, time::Duration};

use db::{Database, outbox};
use futures::future::try_join_all;
use rdkafka::{
    error::KafkaError,
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use sqlx::PgConnection;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::KafkaArgs;
use crate::telemetry::Chain;

/// Events published in one go.
const BATCH: i64 = 500;
/// How soon the relay looks again where nobody wakes it: another process wrote the event.
const POLL: Duration = Duration::from_millis(150);
/// How soon a process that does not relay asks whether it should.
const STANDBY: Duration = Duration::from_secs(2);

/// Wakes the relay of this process: something was committed to the outbox.
#[derive(Debug, Clone, Default)]
pub struct OutboxSignal(Arc<Notify>);

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the outbox cannot be read")]
    Database(#[from] sqlx::Error),
    #[error("events cannot be published")]
    Kafka(#[from] KafkaError),
}

impl OutboxSignal {
    /// Call it after a commit that appended events; forgotten, the event is published a moment later.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Publishes the outbox of `database` until `stop`.
pub async fn relay(database: Database, kafka: KafkaArgs, signal: OutboxSignal, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let outcome = stop.run_until_cancelled(lead(&database, &kafka, &signal)).await;
        if let Some(Err(error)) = outcome {
            tracing::warn!(error = %Chain(&error), "the outbox waits");
            stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await;
        }
    }
}

/// Waits to be the relay, then relays until something fails.
async fn lead(database: &Database, kafka: &KafkaArgs, signal: &OutboxSignal) -> Result<(), RelayError> {
    let mut connection = database.pool().acquire().await?.detach();
    while !outbox::try_lead(&mut connection).await? {
        tokio::time::sleep(STANDBY).await;
    }
    let producer = kafka.producer()?;
    tracing::info!("relaying the outbox");
    loop {
        let published = publish_batch(&mut connection, &producer, kafka).await?;
        if published < BATCH {
            // Whether woken or not, look: both mean that there may be something.
            tokio::time::timeout(POLL, signal.0.notified()).await.ok();
        }
    }
}

async fn publish_batch(
    conn: &mut PgConnection,
    producer: &FutureProducer,
    kafka: &KafkaArgs,
) -> Result<i64, RelayError> {
    let pending = outbox::pending(conn, BATCH).await?;
    if pending.is_empty() {
        return Ok(0);
    }
    let sends = pending.iter().map(|event| async move {
        let topic = kafka.topic(&event.topic);
        let record = FutureRecord::to(&topic).key(&event.key).payload(&event.payload);
        producer.send(record, Timeout::After(super::DELIVERY_TIMEOUT)).await.map_err(|(error, _)| error)
    });
    try_join_all(sends).await?;
    let seqs: Vec<i64> = pending.iter().map(|event| event.seq).collect();
    outbox::published(conn, &seqs).await?;
    metrics::counter!("outbox_published_total").increment(seqs.len() as u64);
    Ok(i64::try_from(seqs.len()).expect("a batch is small"))
}
