//! Reservations that nobody released in time. The database's clock decides.

use std::time::Duration;

use kit::telemetry::Chain;
use tokio_util::sync::CancellationToken;

use crate::{App, store};

/// How often expired reservations are looked for.
const PERIOD: Duration = Duration::from_secs(1);

/// Releases expired reservations until `stop`.
pub(crate) async fn sweep(app: App, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        loop {
            match release_one(&app).await {
                Ok(true) if !stop.is_cancelled() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "expired reservations wait");
                    break;
                }
            }
        }
    }
}

/// Releases one expired reservation; false where there is none.
async fn release_one(app: &App) -> Result<bool, sqlx::Error> {
    let mut tx = app.database.begin("release_expired").await?;
    let Some(order_id) = store::reservations::next_due(&mut tx).await? else { return Ok(false) };
    store::reservations::release(&mut tx, order_id, None).await?;
    tx.commit().await?;
    app.signal.wake();
    metrics::counter!("reservations_expired_total").increment(1);
    tracing::info!(%order_id, "an expired reservation was released");
    Ok(true)
}
