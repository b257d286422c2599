//! A cart as clients see it.

use serde::Serialize;
use types::{Money, Quantity, ShortText, Sku, VariantId};

use crate::domain::{PricedCart, PricedLine};

/// A cart at the prices of the moment.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Cart)]
pub(super) struct CartView {
    /// What can be bought, in the order it was added.
    items: Vec<CartItemView>,
    /// What is in the cart but not for sale any more; it is not part of the total.
    unavailable: Vec<VariantId>,
    /// The sum of the items.
    total: Money,
}

/// A line of a cart.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = CartItem)]
struct CartItemView {
    /// The variant.
    variant_id: VariantId,
    /// Its code.
    sku: Sku,
    /// Its name.
    name: ShortText,
    /// How many.
    quantity: Quantity,
    /// The price of one.
    unit_price: Money,
    /// The price of all of them.
    line_total: Money,
}

impl From<PricedCart> for CartView {
    fn from(cart: PricedCart) -> Self {
        let PricedCart { lines, unavailable, total } = cart;
        Self { items: lines.into_iter().map(CartItemView::from).collect(), unavailable, total }
    }
}

impl From<PricedLine> for CartItemView {
    fn from(line: PricedLine) -> Self {
        let PricedLine { offer, quantity, line_total } = line;
        Self {
            variant_id: offer.variant_id,
            sku: offer.sku,
            name: offer.name,
            quantity,
            unit_price: offer.price,
            line_total,
        }
    }
}
