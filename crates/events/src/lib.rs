//! Contracts of the events on Kafka: one enum per topic, each variant an event type with its own version, wrapped in
//! `CloudEvents` 1.0 (structured JSON). Fields may be added to an event, never changed or removed; anything else is a new
//! type. A consumer skips types it does not know.

mod catalog;
mod cloud_event;
mod inventory;
mod order;
mod user;

pub use catalog::{CatalogEvent, ProductData, ProductRemoved, VariantData};
pub use cloud_event::{CloudEvent, DecodeError};
pub use inventory::{InventoryEvent, StockChanged};
pub use order::{CancellationReason, OrderCancelled, OrderCreated, OrderEvent, OrderLineData};
pub use user::{UserDeleted, UserEvent, UserRegistered};

/// What a topic carries.
pub trait Event: serde::Serialize + serde::de::DeserializeOwned + Send + Sync {
    /// The topic, also the middle of each type's name.
    const TOPIC: &'static str;
    /// The service that emits it; the `CloudEvents` source is `/services/<SOURCE>`.
    const SOURCE: &'static str;
    /// Every type of event of this topic that this release knows.
    const TYPES: &'static [&'static str];

    /// The id of the aggregate it happened to: the message's key and the `CloudEvents` subject.
    fn key(&self) -> String;
}

/// The topic for messages that no retry can help, with the reason in their headers.
pub const DEAD_LETTERS: &str = "dead.letters";

/// Every topic of a store.
pub const TOPICS: [&str; 5] =
    [UserEvent::TOPIC, CatalogEvent::TOPIC, InventoryEvent::TOPIC, OrderEvent::TOPIC, DEAD_LETTERS];
