//! `order.events`: what was ordered leaves the cart.

use events::{CloudEvent, OrderEvent};
use kit::kafka::{HandleError, Handler};

use crate::{domain::Line, store::Carts};

/// Takes what was ordered out of the carts.
pub(crate) struct OrderedLines {
    pub(crate) carts: Carts,
}

impl Handler for OrderedLines {
    type Event = OrderEvent;

    async fn handle(&self, event: CloudEvent<OrderEvent>) -> Result<(), HandleError> {
        let order = match event.event {
            OrderEvent::Created(order) => order,
            OrderEvent::Cancelled(_) => return Ok(()),
        };
        let lines = order.lines.iter().map(|line| Line { variant_id: line.variant_id, quantity: line.quantity });
        let lines: Vec<Line> = lines.collect();
        let taken = self.carts.take_ordered(order.customer_id, event.id, &lines).await;
        let first_time = taken.map_err(|error| HandleError::Retry(error.into()))?;
        tracing::debug!(order = %order.order_id, first_time, "the cart was emptied");
        Ok(())
    }
}
