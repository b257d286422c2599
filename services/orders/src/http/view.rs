//! An order as clients see it.

use jiff::Timestamp;
use serde::Serialize;
use types::{Money, OrderId, PaymentId, UserId};

use crate::domain::{Order, OrderLine, OrderStatus, PaymentMethod, PaymentStatus, ShippingAddress};

/// An order.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderView {
    /// Its id.
    id: OrderId,
    /// Its number for people: `GC-2026-000123`.
    number: String,
    /// Who ordered.
    customer_id: UserId,
    /// Where it stands.
    status: OrderStatus,
    /// What was ordered, at the prices of the checkout.
    lines: Vec<OrderLine>,
    /// The sum of the lines.
    total: Money,
    /// How it is paid.
    payment: PaymentView,
    /// Where it goes.
    shipping_address: ShippingAddress,
    /// When it was placed.
    created_at: Timestamp,
}

/// The payment of an order.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Payment)]
struct PaymentView {
    /// Its id.
    id: PaymentId,
    /// What it is made with.
    method: PaymentMethod,
    /// Where it stands.
    status: PaymentStatus,
}

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        let Order { id, number, customer_id, status, lines, total, payment, shipping_address, created_at, version: _ } =
            order;
        let payment = PaymentView { id: payment.id, method: payment.method, status: payment.status };
        Self { id, number, customer_id, status, lines, total, payment, shipping_address, created_at }
    }
}
