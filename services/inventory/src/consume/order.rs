//! `order.events`: what a cancelled order holds is let go.

use db::inbox;
use events::{CloudEvent, OrderEvent};
use kit::kafka::{HandleError, Handler};

use crate::{App, NAME, store};

/// Takes the events of orders.
pub(crate) struct OrderEvents(pub(crate) App);

impl Handler for OrderEvents {
    type Event = OrderEvent;

    async fn handle(&self, event: CloudEvent<OrderEvent>) -> Result<(), HandleError> {
        let OrderEvent::Cancelled(cancelled) = event.event else { return Ok(()) };
        let mut tx = self.0.database.begin("release_cancelled").await?;
        if inbox::first_time(&mut tx, NAME, event.id).await? {
            store::reservations::release(&mut tx, cancelled.order_id, event.traceparent).await?;
            tx.commit().await?;
            self.0.signal.wake();
        }
        Ok(())
    }
}
