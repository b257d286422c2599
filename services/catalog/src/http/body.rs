//! Products as clients see them.

use events::{ProductData, VariantData};
use kit::http::{ETag, FieldError, Problem};
use serde::Serialize;
use types::{LongText, Money, ProductId, ShortText, Sku, Slug, VariantId};

use crate::domain::{Product, Refusal, Variant};

/// A product.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductBody {
    /// The product.
    id: ProductId,
    /// Its place in addresses.
    slug: Slug,
    /// Its name.
    name: ShortText,
    /// What it is.
    description: LongText,
    /// The name of its category.
    category: Option<String>,
    /// `active`; staff also see `draft` and `archived`.
    status: &'static str,
    /// Share of recycled material in percent.
    recycled_percent: Option<i16>,
    /// Greenhouse gases per unit, in grams of CO2 equivalent.
    co2e_grams: Option<i64>,
    /// Addresses of its pictures.
    images: Vec<String>,
    /// What of it is sold.
    variants: Vec<VariantBody>,
}

/// What of a product is sold.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Variant)]
pub(crate) struct VariantBody {
    /// The variant.
    id: VariantId,
    /// The merchant's code.
    sku: Sku,
    /// What tells it from the other variants of the product.
    name: Option<ShortText>,
    /// Its price.
    price: Money,
    /// Units that can be ordered. Checkout has the last word.
    available: i64,
}

impl From<Product> for ProductBody {
    fn from(product: Product) -> Self {
        let Product {
            id,
            slug,
            name,
            description,
            category,
            status,
            recycled_percent,
            co2e_grams,
            version: _,
            variants,
        } = product;
        Self {
            id,
            slug,
            name,
            description,
            category: category.map(|category| category.name),
            status: status.as_str(),
            recycled_percent,
            co2e_grams,
            images: Vec::new(),
            variants: variants.into_iter().map(VariantBody::from).collect(),
        }
    }
}

impl From<Variant> for VariantBody {
    fn from(Variant { id, sku, name, price, available }: Variant) -> Self {
        Self { id, sku, name, price, available }
    }
}

/// The version of a product as its entity tag.
pub(crate) const fn etag(product: &Product) -> ETag {
    ETag(product.version)
}

/// A product as events carry it.
pub(crate) fn product_data(product: &Product) -> ProductData {
    let variant =
        |variant: &Variant| VariantData { variant_id: variant.id, sku: variant.sku.clone(), price: variant.price };
    ProductData {
        product_id: product.id,
        slug: product.slug.clone(),
        name: product.name.clone(),
        version: product.version,
        variants: product.variants.iter().map(variant).collect(),
    }
}

/// 404: no such product, or not for the caller's eyes.
pub(crate) fn unknown_product() -> Problem {
    Problem::not_found("there is no such product")
}

/// 422 with each field.
pub(crate) fn refused(refusals: Vec<Refusal>) -> Problem {
    let error = |Refusal { field, message }| FieldError { field, message };
    Problem::invalid(refusals.into_iter().map(error).collect())
}

/// 409: a code is another product's.
pub(crate) fn sku_taken() -> Problem {
    Problem::conflict("sku_taken", "another product has a variant of that sku")
}
