//! Adjustments by staff.

use super::{Change, LARGEST_STOCK, Stock};

/// The largest number of units one adjustment adds or takes.
pub(crate) const LARGEST_DELTA: i64 = LARGEST_STOCK;

/// Units that staff add or take: not 0, at most [`LARGEST_DELTA`] either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Adjustment(i64);

/// Why an adjustment cannot be made to the stock as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdjustmentRefused {
    /// Less would be left than is held for orders.
    #[error("the stock would fall below what is reserved")]
    BelowReserved,
    /// More than the shop can count.
    #[error("the stock would exceed the largest number of units")]
    TooMuch,
}

impl Adjustment {
    /// The change this makes to `stock`.
    pub(crate) fn apply(self, stock: &Stock) -> Result<Change, AdjustmentRefused> {
        let on_hand = stock.on_hand.saturating_add(self.0);
        if on_hand < stock.reserved {
            Err(AdjustmentRefused::BelowReserved)
        } else if on_hand > LARGEST_STOCK {
            Err(AdjustmentRefused::TooMuch)
        } else {
            Ok(Change { variant_id: stock.variant_id, on_hand: self.0, reserved: 0 })
        }
    }
}

impl TryFrom<i64> for Adjustment {
    type Error = types::Invalid;

    fn try_from(delta: i64) -> Result<Self, Self::Error> {
        if delta != 0 && (-LARGEST_DELTA..=LARGEST_DELTA).contains(&delta) {
            Ok(Self(delta))
        } else {
            Err(types::Invalid::new("must be -1000000000 to 1000000000 and not 0"))
        }
    }
}

#[cfg(test)]
mod tests {
    use types::VariantId;

    use super::*;

    fn stock(on_hand: i64, reserved: i64) -> Stock {
        Stock { variant_id: VariantId::new(), on_hand, reserved, version: 1 }
    }

    fn adjust(stock: &Stock, delta: i64) -> Result<i64, AdjustmentRefused> {
        Adjustment::try_from(delta).unwrap().apply(stock).map(|change| change.on_hand)
    }

    #[test]
    fn what_is_reserved_cannot_be_taken_away() {
        assert_eq!(adjust(&stock(10, 4), -6), Ok(-6));
        assert_eq!(adjust(&stock(10, 4), -7), Err(AdjustmentRefused::BelowReserved));
    }

    #[test]
    fn stock_never_exceeds_what_can_be_counted() {
        assert_eq!(adjust(&stock(LARGEST_STOCK - 1, 0), 1), Ok(1));
        assert_eq!(adjust(&stock(LARGEST_STOCK, 0), 1), Err(AdjustmentRefused::TooMuch));
    }

    #[test]
    fn nothing_and_absurd_numbers_are_no_adjustment() {
        for delta in [0, i64::MIN, i64::MAX, LARGEST_DELTA + 1] {
            assert!(Adjustment::try_from(delta).is_err(), "{delta}");
        }
    }
}
