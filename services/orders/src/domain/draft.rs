//! What an order will be, once its stock is reserved: the lines of a cart at the prices of the catalogue.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use types::{Currency, Money, MoneyError, Quantity, ShortText, Sku, VariantId};

use super::OrderLine;

/// The lines of an order to be, priced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    lines: Vec<OrderLine>,
    total: Money,
}

/// A line of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub variant_id: VariantId,
    /// How many.
    pub quantity: Quantity,
}

/// What the catalogue says of a variant that can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The variant.
    pub variant_id: VariantId,
    /// Its code.
    pub sku: Sku,
    /// Its name.
    pub name: ShortText,
    /// The price of one.
    pub price: Money,
}

/// Why a cart cannot become an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// There is nothing in it.
    #[error("the cart is empty")]
    Empty,
    /// The catalogue does not sell these any more.
    #[error("some lines are not for sale any more")]
    NotForSale(Vec<VariantId>),
    /// No account could hold the sum.
    #[error("the total is too large")]
    TooLarge(#[source] MoneyError),
}

impl Draft {
    /// Prices `wanted` with `offers`, in `currency`, in the order of the cart.
    pub fn price(wanted: &[Wanted], offers: Vec<Offer>, currency: Currency) -> Result<Self, DraftError> {
        if wanted.is_empty() {
            return Err(DraftError::Empty);
        }
        let offers: HashMap<VariantId, Offer> = offers.into_iter().map(|offer| (offer.variant_id, offer)).collect();
        let missing: Vec<VariantId> =
            wanted.iter().map(|line| line.variant_id).filter(|id| !offers.contains_key(id)).collect();
        if !missing.is_empty() {
            return Err(DraftError::NotForSale(missing));
        }
        let priced = wanted.iter().filter_map(|line| Some((line, offers.get(&line.variant_id)?)));
        let lines = priced.map(|(line, offer)| order_line(line, offer)).collect::<Result<Vec<_>, _>>();
        let lines = lines.map_err(DraftError::TooLarge)?;
        let total = lines.iter().try_fold(Money::zero(currency), |sum, line| sum.checked_add(line.line_total));
        Ok(Self { lines, total: total.map_err(DraftError::TooLarge)? })
    }

    /// The lines, at least one.
    #[must_use]
    pub fn lines(&self) -> &[OrderLine] {
        &self.lines
    }

    /// The sum of the lines.
    #[must_use]
    pub const fn total(&self) -> Money {
        self.total
    }
}

fn order_line(line: &Wanted, offer: &Offer) -> Result<OrderLine, MoneyError> {
    Ok(OrderLine {
        variant_id: line.variant_id,
        sku: offer.sku.clone(),
        name: offer.name.clone(),
        quantity: line.quantity,
        unit_price: offer.price,
        line_total: offer.price.checked_mul(line.quantity.get())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naira(amount: i64) -> Money {
        Money::new(amount, "NGN".parse().unwrap())
    }

    fn offer(amount: i64) -> Offer {
        let (sku, name) = ("TOTE-1".parse().unwrap(), "Tote".parse().unwrap());
        Offer { variant_id: VariantId::new(), sku, name, price: naira(amount) }
    }

    fn wanted(offer: &Offer, quantity: i64) -> Wanted {
        Wanted { variant_id: offer.variant_id, quantity: Quantity::try_from(quantity).unwrap() }
    }

    fn price(wanted: &[Wanted], offers: Vec<Offer>) -> Result<Draft, DraftError> {
        Draft::price(wanted, offers, "NGN".parse().unwrap())
    }

    #[test]
    fn the_total_is_the_sum_of_price_times_quantity_in_the_order_of_the_cart() {
        let (tote, mug) = (offer(1_999), offer(500));
        let draft = price(&[wanted(&mug, 2), wanted(&tote, 3)], vec![tote, mug.clone()]).unwrap();
        assert_eq!(draft.total(), naira(6_997));
        assert_eq!(draft.lines()[0].variant_id, mug.variant_id);
        assert_eq!(draft.lines()[1].line_total, naira(5_997));
    }

    #[test]
    fn an_empty_cart_is_no_order() {
        assert_eq!(price(&[], Vec::new()), Err(DraftError::Empty));
    }

    #[test]
    fn each_variant_that_is_not_sold_any_more_is_named() {
        let (tote, gone) = (offer(1), offer(1));
        let refused = price(&[wanted(&tote, 1), wanted(&gone, 1)], vec![tote]);
        assert_eq!(refused, Err(DraftError::NotForSale(vec![gone.variant_id])));
    }

    #[test]
    fn a_total_beyond_64_bits_is_refused() {
        let tote = offer(i64::MAX / 2);
        assert_eq!(price(&[wanted(&tote, 3)], vec![tote]), Err(DraftError::TooLarge(MoneyError::Overflow)));
    }
}
