//! Fields that were refused, all of them at once.

use std::{fmt::Display, str::FromStr};

use types::{Currency, Money};

/// A field that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Where it stands: `variants[0].price.amount`.
    pub(crate) field: String,
    /// What is expected of it.
    pub(crate) message: String,
}

/// Collects what is wrong with a request, so that its sender learns of everything at once.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Vec<Refusal>);

/// The largest footprint of one unit that is believed: a billion grams.
const LARGEST_FOOTPRINT: i64 = 1_000_000_000;

impl Refusals {
    /// Notes that `field` was refused.
    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Display) {
        self.0.push(Refusal { field: field.into(), message: message.to_string() });
    }

    /// `text` as a `T`; `None` where it was refused.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self, field: impl Into<String>, text: &str) -> Option<T> {
        text.parse().map_err(|error| self.add(field, error)).ok()
    }

    /// `text`, where there is any, as a `T`.
    pub(crate) fn parse_optional<T: FromStr<Err: Display>>(
        &mut self,
        field: impl Into<String>,
        text: Option<&str>,
    ) -> Option<T> {
        text.and_then(|text| self.parse(field, text))
    }

    /// `price` as a price in the store's currency.
    pub(crate) fn price(&mut self, field: &str, price: Money, currency: Currency) -> Option<Money> {
        if price.currency() != currency {
            self.add(format!("{field}.currency"), format_args!("must be the store's currency, {currency}"));
            return None;
        }
        price.as_price().map_err(|error| self.add(format!("{field}.amount"), error)).ok()
    }

    /// A share of recycled material.
    pub(crate) fn recycled_percent(&mut self, percent: i64) -> Option<i16> {
        let share = i16::try_from(percent).ok().filter(|share| (0..=100).contains(share));
        if share.is_none() {
            self.add("recycled_percent", "must be 0 to 100");
        }
        share
    }

    /// A footprint in grams of CO2 equivalent.
    pub(crate) fn co2e_grams(&mut self, grams: i64) -> Option<i64> {
        let believed = (0..=LARGEST_FOOTPRINT).contains(&grams);
        if !believed {
            self.add("co2e_grams", format_args!("must be 0 to {LARGEST_FOOTPRINT}"));
        }
        believed.then_some(grams)
    }

    /// `value`, if nothing was refused.
    pub(crate) fn unless_refused<T>(self, value: Option<T>) -> Result<T, Vec<Refusal>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}
