//! `inventory.events`: how much of each variant can be ordered.

use events::{CloudEvent, InventoryEvent};
use kit::kafka::{HandleError, Handler};

use crate::{App, store};

/// Takes the events of stock. They carry a version, so that one that comes again changes nothing without an inbox.
pub(crate) struct StockEvents(pub(crate) App);

impl Handler for StockEvents {
    type Event = InventoryEvent;

    async fn handle(&self, event: CloudEvent<InventoryEvent>) -> Result<(), HandleError> {
        let InventoryEvent::StockChanged(stock) = event.event;
        let mut conn = self.0.database.pool().acquire().await?;
        store::availability::update(&mut conn, stock.variant_id, stock.available, stock.version).await?;
        Ok(())
    }
}
