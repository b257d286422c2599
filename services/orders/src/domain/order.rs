//! An order as it is kept.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use types::{CountryCode, Invalid, Money, OrderId, PaymentId, Quantity, ShortText, Sku, UserId, VariantId};

use super::OrderStatus;

/// An order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Its number for people.
    pub number: String,
    /// Who ordered.
    pub customer_id: UserId,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was ordered, at the prices of the checkout.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// How it is paid.
    pub payment: Payment,
    /// Where it goes.
    pub shipping_address: ShippingAddress,
    /// When it was placed.
    pub created_at: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderLine {
    /// The variant.
    pub variant_id: VariantId,
    /// Its code at the checkout.
    pub sku: Sku,
    /// Its name at the checkout.
    pub name: ShortText,
    /// How many.
    pub quantity: Quantity,
    /// The price of one at the checkout.
    pub unit_price: Money,
    /// The price of all of them.
    pub line_total: Money,
}

/// The payment of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// What it is made with.
    pub method: PaymentMethod,
    /// Where it stands.
    pub status: PaymentStatus,
}

/// What a payment is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// The customer's wallet at the shop.
    Wallet,
    /// The payment page of Paystack.
    Paystack,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Not made yet.
    Pending,
    /// The money is there.
    Succeeded,
    /// It was declined.
    Failed,
    /// It is not to be made any more.
    Cancelled,
}

/// Where an order goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShippingAddress {
    /// Who receives it.
    pub name: ShortText,
    /// Street and house.
    pub line1: ShortText,
    /// Floor, flat, landmark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<ShortText>,
    /// Town.
    pub city: ShortText,
    /// State or province.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<ShortText>,
    /// Postal code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<ShortText>,
    /// Country.
    pub country: CountryCode,
}

impl PaymentMethod {
    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Paystack => "paystack",
        }
    }
}

impl PaymentStatus {
    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for PaymentMethod {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let all = [Self::Wallet, Self::Paystack];
        all.into_iter().find(|method| method.as_str() == name).ok_or_else(|| Invalid::new("must be a payment method"))
    }
}

impl FromStr for PaymentStatus {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let all = [Self::Pending, Self::Succeeded, Self::Failed, Self::Cancelled];
        all.into_iter().find(|status| status.as_str() == name).ok_or_else(|| Invalid::new("must be a payment status"))
    }
}
