//! What a cart holds, and what it costs. Nothing here does any I/O.

use std::collections::HashMap;

use types::{Currency, Money, MoneyError, Quantity, ShortText, Sku, VariantId};

/// Lines a cart holds at most.
pub(crate) const MOST_LINES: usize = 100;

/// A line as it is kept: no price, no name; those are the catalogue's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// What.
    pub(crate) variant_id: VariantId,
    /// How many.
    pub(crate) quantity: Quantity,
}

/// What the catalogue says of a variant that can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The variant.
    pub(crate) variant_id: VariantId,
    /// Its code.
    pub(crate) sku: Sku,
    /// Its name.
    pub(crate) name: ShortText,
    /// The price of one.
    pub(crate) price: Money,
}

/// A cart at the prices of the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PricedCart {
    /// What can be bought, in the order of the cart.
    pub(crate) lines: Vec<PricedLine>,
    /// What is in the cart but not for sale any more.
    pub(crate) unavailable: Vec<VariantId>,
    /// The sum of the lines.
    pub(crate) total: Money,
}

/// A line at the price of the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PricedLine {
    /// What the catalogue says of it.
    pub(crate) offer: Offer,
    /// How many.
    pub(crate) quantity: Quantity,
    /// The price of all of them.
    pub(crate) line_total: Money,
}

/// The cart of `lines` at the prices of `offers`.
pub(crate) fn price(lines: &[Line], offers: Vec<Offer>, currency: Currency) -> Result<PricedCart, MoneyError> {
    let mut offers: HashMap<VariantId, Offer> = offers.into_iter().map(|offer| (offer.variant_id, offer)).collect();
    let mut cart = PricedCart { lines: Vec::new(), unavailable: Vec::new(), total: Money::zero(currency) };
    for line in lines {
        let Some(offer) = offers.remove(&line.variant_id) else {
            cart.unavailable.push(line.variant_id);
            continue;
        };
        let line_total = offer.price.checked_mul(line.quantity.get())?;
        cart.total = cart.total.checked_add(line_total)?;
        cart.lines.push(PricedLine { offer, quantity: line.quantity, line_total });
    }
    Ok(cart)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naira(amount: i64) -> Money {
        Money::new(amount, "NGN".parse().unwrap())
    }

    fn offer(amount: i64) -> Offer {
        let (sku, name) = ("MUG-1".parse().unwrap(), "Mug".parse().unwrap());
        Offer { variant_id: VariantId::new(), sku, name, price: naira(amount) }
    }

    fn line(variant_id: VariantId, quantity: i64) -> Line {
        Line { variant_id, quantity: Quantity::try_from(quantity).unwrap() }
    }

    #[test]
    fn lines_are_priced_in_the_order_of_the_cart() {
        let (mug, tote) = (offer(500), offer(1_999));
        let lines = [line(tote.variant_id, 1), line(mug.variant_id, 3)];
        let cart = price(&lines, vec![mug, tote.clone()], naira(0).currency()).unwrap();
        assert_eq!(cart.total, naira(3_499));
        assert_eq!(cart.lines[0].offer, tote);
        assert_eq!(cart.lines[1].line_total, naira(1_500));
    }

    #[test]
    fn what_is_not_for_sale_any_more_costs_nothing_and_is_named() {
        let gone = VariantId::new();
        let cart = price(&[line(gone, 2)], Vec::new(), naira(0).currency()).unwrap();
        assert_eq!(cart, PricedCart { lines: Vec::new(), unavailable: vec![gone], total: naira(0) });
    }

    #[test]
    fn a_total_beyond_64_bits_is_refused() {
        let gold = offer(i64::MAX / 2);
        let lines = [line(gold.variant_id, 3)];
        assert_eq!(price(&lines, vec![gold], naira(0).currency()), Err(MoneyError::Overflow));
    }
}
