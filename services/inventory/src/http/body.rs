//! Stock as clients see it.

use kit::http::{ETag, Problem};
use serde::{Deserialize, Serialize};
use types::VariantId;

use crate::domain::Stock;

/// The stock of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Stock)]
pub(crate) struct StockBody {
    /// The variant.
    variant_id: VariantId,
    /// Units in the warehouse.
    on_hand: i64,
    /// Units held for orders that are not paid yet.
    reserved: i64,
    /// Units that can be ordered.
    available: i64,
}

impl From<&Stock> for StockBody {
    fn from(stock: &Stock) -> Self {
        Self {
            variant_id: stock.variant_id,
            on_hand: stock.on_hand,
            reserved: stock.reserved,
            available: stock.available(),
        }
    }
}

/// The version of the stock as its entity tag.
pub(crate) const fn etag(stock: &Stock) -> ETag {
    ETag(stock.version)
}

/// 404: no such variant.
pub(crate) fn unknown_variant() -> Problem {
    Problem::not_found("there is no stock of such a variant")
}
