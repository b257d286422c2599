//! `catalog.events`: every variant has stock, if only none.

use db::inbox;
use events::{CatalogEvent, CloudEvent};
use kit::kafka::{HandleError, Handler};
use types::VariantId;

use crate::{App, NAME, store};

/// Takes the events of products.
pub(crate) struct ProductEvents(pub(crate) App);

impl Handler for ProductEvents {
    type Event = CatalogEvent;

    async fn handle(&self, event: CloudEvent<CatalogEvent>) -> Result<(), HandleError> {
        let product = match event.event {
            CatalogEvent::Created(product) | CatalogEvent::Updated(product) => product,
            // What is not sold any more may still lie in the warehouse.
            CatalogEvent::Removed(_) => return Ok(()),
        };
        let mut variants: Vec<VariantId> = product.variants.into_iter().map(|variant| variant.variant_id).collect();
        variants.sort_unstable();
        variants.dedup();
        let none: Vec<_> = variants.into_iter().map(|id| (id, 0)).collect();
        let mut tx = self.0.database.begin("first_stock").await?;
        if inbox::first_time(&mut tx, NAME, event.id).await? {
            store::stock::initialize(&mut tx, &none, event.traceparent).await?;
            tx.commit().await?;
            self.0.signal.wake();
        }
        Ok(())
    }
}
