//! Orders that are not paid in time are cancelled, and their stock let go through the event of it.

use std::time::Duration;

use db::Database;
use events::{CancellationReason, OrderCancelled, OrderEvent};
use kit::{kafka::OutboxSignal, telemetry::Chain};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::Move,
    store::{
        checkouts,
        orders::{self, Overdue},
    },
};

/// Orders cancelled in one transaction.
const BATCH: i64 = 100;
/// The longest and the shortest time between two looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Cancels overdue orders until `stop`. Every process does; they skip what another one holds.
pub(crate) async fn run(database: Database, signal: OutboxSignal, payment_timeout: u32, stop: CancellationToken) {
    let pause = Duration::from_secs(u64::from(payment_timeout)).div_f64(10.0).clamp(LOOK.0, LOOK.1);
    while !stop.is_cancelled() {
        match expire_batch(&database).await {
            Ok(0) => {}
            Ok(cancelled) => {
                tracing::info!(cancelled, "unpaid orders were cancelled");
                metrics::counter!("orders_expired_total").increment(cancelled);
                signal.wake();
                continue;
            }
            Err(error) => tracing::warn!(error = %Chain(&error), "overdue orders wait"),
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

/// Cancels a batch of overdue orders, and gives how many.
async fn expire_batch(database: &Database) -> Result<u64, sqlx::Error> {
    let mut tx = database.begin("expire_orders").await?;
    let overdue = orders::lock_overdue(&mut tx, BATCH).await?;
    if overdue.is_empty() {
        checkouts::forget_old(&mut tx).await?;
        tx.commit().await?;
        return Ok(0);
    }
    let mut cancelled = 0;
    for Overdue { id, customer_id, status } in overdue {
        if status.after(Move::Cancel).is_none() {
            continue;
        }
        orders::cancel(&mut tx, id).await?;
        let event = OrderCancelled { order_id: id, customer_id, reason: CancellationReason::PaymentTimeout };
        db::outbox::append(&mut tx, OrderEvent::Cancelled(event), None).await?;
        cancelled += 1;
    }
    tx.commit().await?;
    Ok(cancelled)
}
