//! What happens to products.

use serde::{Deserialize, Serialize};
use types::{Money, ProductId, ShortText, Sku, Slug, VariantId};

use crate::Event;

/// `catalog.events`, keyed by the product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum CatalogEvent {
    /// A product was made.
    #[serde(rename = "dev.greencommerce.product.created.v1")]
    Created(ProductData),
    /// A product was changed; carries it as it is now.
    #[serde(rename = "dev.greencommerce.product.updated.v1")]
    Updated(ProductData),
    /// A product was taken out of the catalogue.
    #[serde(rename = "dev.greencommerce.product.removed.v1")]
    Removed(ProductRemoved),
}

/// A product as it is after the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductData {
    /// The product.
    pub product_id: ProductId,
    /// Its place in addresses.
    pub slug: Slug,
    /// Its name.
    pub name: ShortText,
    /// Counts the changes of the product.
    pub version: i64,
    /// What of it is sold.
    pub variants: Vec<VariantData>,
}

/// A variant as it is after the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantData {
    /// The variant.
    pub variant_id: VariantId,
    /// The merchant's code.
    pub sku: Sku,
    /// Its price.
    pub price: Money,
}

/// A product was taken out of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductRemoved {
    /// The product.
    pub product_id: ProductId,
    /// Its variants.
    pub variant_ids: Vec<VariantId>,
}

impl Event for CatalogEvent {
    const TOPIC: &'static str = "catalog.events";
    const SOURCE: &'static str = "catalog";
    const TYPES: &'static [&'static str] = &[
        "dev.greencommerce.product.created.v1",
        "dev.greencommerce.product.updated.v1",
        "dev.greencommerce.product.removed.v1",
    ];

    fn key(&self) -> String {
        match self {
            Self::Created(data) | Self::Updated(data) => data.product_id.to_string(),
            Self::Removed(data) => data.product_id.to_string(),
        }
    }
}
