//! Money in integer minor units with its currency; every operation is checked.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The largest amount of minor units accepted from outside: 10¹³ (100 billion of a currency with two decimals).
/// A cart of the most lines of the largest quantity at this price still fits in 64 bits only when checked, which it is.
const LARGEST_PRICE: i64 = 10_000_000_000_000;

/// A currency by its ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

/// An amount of money: `{"amount": 1999, "currency": "NGN"}`, in minor units (kobo, cents).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units of the currency.
    amount: i64,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "NGN")]
    currency: Currency,
}

/// Why two amounts could not be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The sum or product does not fit.
    #[error("the amount is too large")]
    Overflow,
    /// The amounts are of two currencies.
    #[error("amounts of two currencies cannot be added")]
    CurrencyMismatch,
}

impl Money {
    /// `amount` minor units of `currency`.
    #[must_use]
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Minor units.
    #[must_use]
    pub const fn amount(self) -> i64 {
        self.amount
    }

    /// The currency of the amount.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum, in the currency both share.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let amount = self.amount.checked_add(other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// This amount `times` over.
    pub fn checked_mul(self, times: u32) -> Result<Self, MoneyError> {
        let amount = self.amount.checked_mul(i64::from(times)).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// Accepts this amount as a price: not negative, at most 10¹³ minor units.
    pub fn as_price(self) -> Result<Self, Invalid> {
        if (0..=LARGEST_PRICE).contains(&self.amount) {
            Ok(self)
        } else {
            Err(Invalid::new(format!("must be 0 to {LARGEST_PRICE} minor units")))
        }
    }
}

impl Currency {
    /// The ISO 4217 code: `NGN`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }
}

impl FromStr for Currency {
    type Err = Invalid;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        iso_currency::Currency::from_code(code)
            .map(Self)
            .ok_or_else(|| Invalid::new("must be an ISO 4217 currency code such as NGN"))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naira() -> Currency {
        "NGN".parse().unwrap()
    }

    #[test]
    fn amounts_of_two_currencies_do_not_add() {
        let euro = Money::new(1, "EUR".parse().unwrap());
        assert_eq!(Money::new(1, naira()).checked_add(euro), Err(MoneyError::CurrencyMismatch));
    }

    #[test]
    fn a_price_is_neither_negative_nor_absurd() {
        assert!(Money::new(-1, naira()).as_price().is_err());
        assert!(Money::new(LARGEST_PRICE + 1, naira()).as_price().is_err());
        assert!(Money::new(LARGEST_PRICE, naira()).as_price().is_ok());
    }

    #[test]
    fn it_reads_and_writes_minor_units_with_a_code() {
        let json = r#"{"amount":1999,"currency":"NGN"}"#;
        let money: Money = serde_json::from_str(json).unwrap();
        assert_eq!(money, Money::new(1999, naira()));
        assert_eq!(serde_json::to_string(&money).unwrap(), json);
        assert!(serde_json::from_str::<Money>(r#"{"amount":19.99,"currency":"NGN"}"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"amount":1,"currency":"ZZZ"}"#).is_err());
    }

    proptest! {
        #[test]
        fn sums_and_products_are_exact_or_refused(a in any::<i64>(), b in any::<i64>(), times in any::<u32>()) {
            let (left, right) = (Money::new(a, naira()), Money::new(b, naira()));
            prop_assert_eq!(left.checked_add(right).ok().map(Money::amount), a.checked_add(b));
            prop_assert_eq!(left.checked_mul(times).ok().map(Money::amount), a.checked_mul(i64::from(times)));
        }
    }
}
