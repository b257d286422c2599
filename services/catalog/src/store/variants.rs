//! Variants. Several are written in the order of their codes, so that two products with the same codes never wait for each
//! other crosswise.

use std::collections::HashMap;

use sqlx::PgConnection;
use types::{Money, ProductId, ShortText, Sku, VariantId};
use uuid::Uuid;

use super::stored;
use crate::domain::Variant;

/// A variant that can be bought now.
#[derive(Debug, Clone)]
pub(crate) struct VariantForSale {
    /// The variant.
    pub(crate) id: VariantId,
    /// Its product.
    pub(crate) product_id: ProductId,
    /// The merchant's code.
    pub(crate) sku: String,
    /// The name of its product.
    pub(crate) product_name: String,
    /// What tells it from the other variants.
    pub(crate) name: Option<String>,
    /// Its price in minor units.
    pub(crate) price_amount: i64,
    /// The currency of its price.
    pub(crate) price_currency: String,
}

/// The variants of these products, each product's in their order.
pub(crate) async fn of_products(
    conn: &mut PgConnection,
    product_ids: &[Uuid],
) -> Result<HashMap<ProductId, Vec<Variant>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select v.id as "id: VariantId", v.product_id as "product_id: ProductId", v.sku as "sku: Sku",
                  v.name as "name: ShortText", v.price_amount, v.price_currency,
                  coalesce(a.available, 0) as "available!"
           from variants v left join availability a on a.variant_id = v.id
           where v.product_id = any($1) order by v.product_id, v.position"#,
        product_ids,
    )
    .fetch_all(conn)
    .await?;
    let mut variants: HashMap<ProductId, Vec<Variant>> = HashMap::with_capacity(product_ids.len());
    for row in rows {
        let price = Money::new(row.price_amount, stored(&row.price_currency)?);
        let variant = Variant { id: row.id, sku: row.sku, name: row.name, price, available: row.available };
        variants.entry(row.product_id).or_default().push(variant);
    }
    Ok(variants)
}

/// Those of these variants that can be bought now.
pub(crate) async fn for_sale(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<VariantForSale>, sqlx::Error> {
    sqlx::query_as!(
        VariantForSale,
        r#"select v.id as "id: _", v.product_id as "product_id: _", v.sku, p.name as product_name, v.name,
                  v.price_amount, v.price_currency
           from variants v join products p on p.id = v.product_id
           where v.id = any($1) and p.status = 'active'"#,
        ids,
    )
    .fetch_all(conn)
    .await
}

/// Those of these codes that other variants have.
pub(crate) async fn taken(conn: &mut PgConnection, skus: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!("select sku from variants where sku = any($1) order by sku", skus).fetch_all(conn).await
}

/// Writes the variants of a product as they are now; their places are those in `variants`. A code that another product has
/// violates `variants_sku_key`.
pub(crate) async fn write(
    conn: &mut PgConnection,
    product_id: ProductId,
    variants: &[Variant],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = variants.iter().map(|variant| variant.id.as_uuid()).collect();
    let skus: Vec<String> = variants.iter().map(|variant| variant.sku.to_string()).collect();
    let names: Vec<Option<String>> =
        variants.iter().map(|variant| variant.name.as_ref().map(ToString::to_string)).collect();
    let amounts: Vec<i64> = variants.iter().map(|variant| variant.price.amount()).collect();
    let currencies: Vec<String> = variants.iter().map(|variant| variant.price.currency().code().to_owned()).collect();
    sqlx::query!(
        "insert into variants (id, product_id, sku, name, price_amount, price_currency, position)
         select id, $1, sku, name, amount, currency, position - 1
         from unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[]) with ordinality
              as v (id, sku, name, amount, currency, position)
         order by sku
         on conflict (id) do update
             set name = excluded.name, price_amount = excluded.price_amount, price_currency = excluded.price_currency",
        product_id.as_uuid(),
        &ids,
        &skus,
        &names as &[Option<String>],
        &amounts,
        &currencies,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the failure is that a code is another variant's.
#[must_use]
pub(crate) fn is_sku_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::constraint) == Some("variants_sku_key")
}
