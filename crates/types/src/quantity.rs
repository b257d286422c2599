//! How many of a thing.

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// How many units of one variant: 1 to 10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "i64", into = "u32")]
#[schema(value_type = u32, minimum = 1, maximum = 10_000)]
pub struct Quantity(u32);

impl Quantity {
    /// The largest quantity of one line.
    pub const MAX: u32 = 10_000;

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Both together, if one line may hold that many.
    pub fn checked_add(self, other: Self) -> Result<Self, Invalid> {
        Self::try_from(i64::from(self.0) + i64::from(other.0))
    }
}

impl TryFrom<i64> for Quantity {
    type Error = Invalid;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u32::try_from(number) {
            Ok(units @ 1..=Self::MAX) => Ok(Self(units)),
            _ => Err(Invalid::new("must be 1 to 10000")),
        }
    }
}

impl From<Quantity> for u32 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_to_ten_thousand_units_make_a_quantity() {
        for wrong in [i64::MIN, -1, 0, 10_001, i64::MAX] {
            assert!(Quantity::try_from(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Quantity::try_from(10_000).map(Quantity::get), Ok(10_000));
    }
}
