//! The life of an order.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use types::Invalid;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Placed, its stock reserved, not paid yet.
    Pending,
    /// Paid.
    Paid,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Never paid, and not to be paid any more.
    Cancelled,
    /// Paid back in full.
    Refunded,
    /// Paid back in part.
    PartiallyRefunded,
}

/// What may happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// Its payment succeeded.
    Pay,
    /// It is not to be paid any more: the customer, or the time that was given.
    Cancel,
    /// It was handed to a carrier.
    Ship,
    /// It arrived.
    Deliver,
    /// Everything that was paid is paid back.
    Refund,
    /// Some of what was paid is paid back.
    RefundPartially,
}

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Cancelled,
        Self::Refunded,
        Self::PartiallyRefunded,
    ];

    /// Where an order that stands here stands after `step`, or `None` where that may not happen to it.
    #[must_use]
    pub const fn after(self, step: Move) -> Option<Self> {
        match (self, step) {
            (Self::Pending, Move::Pay) => Some(Self::Paid),
            (Self::Pending, Move::Cancel) => Some(Self::Cancelled),
            (Self::Paid, Move::Ship) => Some(Self::Shipped),
            (Self::Shipped, Move::Deliver) => Some(Self::Delivered),
            (Self::Paid | Self::Shipped | Self::Delivered | Self::PartiallyRefunded, Move::Refund) => {
                Some(Self::Refunded)
            }
            (Self::Paid | Self::Shipped | Self::Delivered | Self::PartiallyRefunded, Move::RefundPartially) => {
                Some(Self::PartiallyRefunded)
            }
            _ => None,
        }
    }

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::PartiallyRefunded => "partially_refunded",
        }
    }
}

impl FromStr for OrderStatus {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == name).ok_or_else(|| Invalid::new("must be a status"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Move::*, OrderStatus::*, *};

    const MOVES: [Move; 6] = [Pay, Cancel, Ship, Deliver, Refund, RefundPartially];

    /// The whole table, row by row in the order of `OrderStatus::ALL`, column by column in the order of `MOVES`.
    const TABLE: [[Option<OrderStatus>; 6]; 7] = [
        [Some(Paid), Some(Cancelled), None, None, None, None],
        [None, None, Some(Shipped), None, Some(Refunded), Some(PartiallyRefunded)],
        [None, None, None, Some(Delivered), Some(Refunded), Some(PartiallyRefunded)],
        [None, None, None, None, Some(Refunded), Some(PartiallyRefunded)],
        [None, None, None, None, None, None],
        [None, None, None, None, None, None],
        [None, None, None, None, Some(Refunded), Some(PartiallyRefunded)],
    ];

    #[test]
    fn every_status_takes_exactly_the_moves_of_the_table() {
        for (status, row) in OrderStatus::ALL.into_iter().zip(TABLE) {
            for (step, expected) in MOVES.into_iter().zip(row) {
                assert_eq!(status.after(step), expected, "{status:?} {step:?}");
            }
        }
    }

    #[test]
    fn a_status_has_one_name_everywhere() {
        for status in OrderStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert!("lost".parse::<OrderStatus>().is_err());
    }
}
