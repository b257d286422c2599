//! What happens to stock.

use serde::{Deserialize, Serialize};
use types::VariantId;

use crate::Event;

/// `inventory.events`, keyed by the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum InventoryEvent {
    /// The stock of a variant changed; carries it as it is now.
    #[serde(rename = "dev.greencommerce.stock.changed.v1")]
    StockChanged(StockChanged),
}

/// The stock of a variant after the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockChanged {
    /// The variant.
    pub variant_id: VariantId,
    /// Units in the warehouse.
    pub on_hand: i64,
    /// Units held for orders that are not paid yet.
    pub reserved: i64,
    /// Units that can be ordered: `on_hand - reserved`.
    pub available: i64,
    /// Counts the changes of this stock: a consumer ignores what is older than what it has.
    pub version: i64,
}

impl Event for InventoryEvent {
    const TOPIC: &'static str = "inventory.events";
    const SOURCE: &'static str = "inventory";
    const TYPES: &'static [&'static str] = &["dev.greencommerce.stock.changed.v1"];

    fn key(&self) -> String {
        match self {
            Self::StockChanged(data) => data.variant_id.to_string(),
        }
    }
}
