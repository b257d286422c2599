//! What happens to orders.

use serde::{Deserialize, Serialize};
use types::{Money, OrderId, Quantity, ShortText, Sku, UserId, VariantId};

use crate::Event;

/// `order.events`, keyed by the order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum OrderEvent {
    /// An order was placed; its stock is reserved.
    #[serde(rename = "dev.greencommerce.order.created.v1")]
    Created(OrderCreated),
    /// An order was cancelled before it was paid; its stock is to be released.
    #[serde(rename = "dev.greencommerce.order.cancelled.v1")]
    Cancelled(OrderCancelled),
}

/// An order as it was placed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// The order.
    pub order_id: OrderId,
    /// Its number for people.
    pub number: String,
    /// Who ordered.
    pub customer_id: UserId,
    /// What was ordered, at the prices charged.
    pub lines: Vec<OrderLineData>,
    /// The sum of the lines.
    pub total: Money,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderLineData {
    /// The variant.
    pub variant_id: VariantId,
    /// Its code when it was ordered.
    pub sku: Sku,
    /// Its name when it was ordered.
    pub name: ShortText,
    /// How many.
    pub quantity: Quantity,
    /// The price of one.
    pub unit_price: Money,
}

/// An order that will not be paid any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer_id: UserId,
    /// Why.
    pub reason: CancellationReason,
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancellationReason {
    /// The customer changed their mind.
    Customer,
    /// It was not paid in time.
    PaymentTimeout,
}

impl Event for OrderEvent {
    const TOPIC: &'static str = "order.events";
    const SOURCE: &'static str = "orders";
    const TYPES: &'static [&'static str] =
        &["dev.greencommerce.order.created.v1", "dev.greencommerce.order.cancelled.v1"];

    fn key(&self) -> String {
        match self {
            Self::Created(data) => data.order_id.to_string(),
            Self::Cancelled(data) => data.order_id.to_string(),
        }
    }
}
