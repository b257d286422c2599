//! Products, with their variants: one query for the products, one for the variants of all of them.

use sqlx::PgConnection;
use types::{LongText, PageLimit, ProductId, ShortText, Slug};
use uuid::Uuid;

use super::{stored, variants};
use crate::domain::{Category, Product, Status};

/// A product without its variants.
#[derive(Debug, Clone)]
pub(super) struct ProductRow {
    pub(super) id: ProductId,
    pub(super) slug: Slug,
    pub(super) name: ShortText,
    pub(super) sort_name: String,
    pub(super) description: LongText,
    pub(super) category_id: Option<i64>,
    pub(super) category: Option<String>,
    pub(super) status: String,
    pub(super) recycled_percent: Option<i16>,
    pub(super) co2e_grams: Option<i64>,
    pub(super) version: i64,
}

/// A product, with what it is sorted by in lists by name.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The product.
    pub(crate) product: Product,
    /// Its name as the database sorts it.
    pub(crate) sort_name: String,
}

/// Products as [`ProductRow`]s; `$rest` is what follows the `from` clause.
macro_rules! select_products {
    ($rest:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::products::ProductRow,
            r#"select p.id as "id: _", p.slug as "slug: _", p.name as "name: _", p.sort_name, p.description as "description: _",
                      p.category_id, c.name as "category?", p.status, p.recycled_percent, p.co2e_grams, p.version
               from products p left join categories c on c.id = p.category_id "#
                + $rest
            $(, $argument)*
        )
    };
}
pub(super) use select_products;

/// Which products a list shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    /// Of this category.
    pub(crate) category: Option<i64>,
    /// In this status.
    pub(crate) status: Status,
}

/// The product of that id.
pub(crate) async fn by_id(conn: &mut PgConnection, id: ProductId) -> Result<Option<Product>, sqlx::Error> {
    let row = select_products!("where p.id = $1", id.as_uuid()).fetch_optional(&mut *conn).await?;
    with_variants_of_one(conn, row).await
}

/// The product of that slug.
pub(crate) async fn by_slug(conn: &mut PgConnection, slug: &Slug) -> Result<Option<Product>, sqlx::Error> {
    let row = select_products!("where p.slug = $1", slug.as_str()).fetch_optional(&mut *conn).await?;
    with_variants_of_one(conn, row).await
}

/// The product of that id, locked until the end of the transaction.
pub(crate) async fn lock(conn: &mut PgConnection, id: ProductId) -> Result<Option<Product>, sqlx::Error> {
    let row = select_products!("where p.id = $1 for update of p", id.as_uuid()).fetch_optional(&mut *conn).await?;
    with_variants_of_one(conn, row).await
}

/// Products made before `before`, newest first.
pub(crate) async fn newest(
    conn: &mut PgConnection,
    filter: Filter,
    before: Uuid,
    limit: PageLimit,
) -> Result<Vec<Product>, sqlx::Error> {
    let status = filter.status.as_str();
    let rows = match filter.category {
        Some(category) => {
            select_products!(
                "where p.status = $1 and p.category_id = $2 and p.id < $3 order by p.id desc limit $4",
                status,
                category,
                before,
                limit.fetch(),
            )
            .fetch_all(&mut *conn)
            .await?
        }
        None => {
            select_products!(
                "where p.status = $1 and p.id < $2 order by p.id desc limit $3",
                status,
                before,
                limit.fetch(),
            )
            .fetch_all(&mut *conn)
            .await?
        }
    };
    Ok(with_variants(conn, rows).await?.into_iter().map(|listed| listed.product).collect())
}

/// Products after `after` in the order of their names.
pub(crate) async fn by_name(
    conn: &mut PgConnection,
    filter: Filter,
    after: &(String, Uuid),
    limit: PageLimit,
) -> Result<Vec<Listed>, sqlx::Error> {
    let status = filter.status.as_str();
    let (name, id) = after;
    let rows = match filter.category {
        Some(category) => {
            select_products!(
                "where p.status = $1 and p.category_id = $2 and (p.sort_name, p.id) > ($3, $4)
                 order by p.sort_name, p.id limit $5",
                status,
                category,
                name,
                id,
                limit.fetch(),
            )
            .fetch_all(&mut *conn)
            .await?
        }
        None => {
            select_products!(
                "where p.status = $1 and (p.sort_name, p.id) > ($2, $3) order by p.sort_name, p.id limit $4",
                status,
                name,
                id,
                limit.fetch(),
            )
            .fetch_all(&mut *conn)
            .await?
        }
    };
    with_variants(conn, rows).await
}

/// Writes a new product and its variants. Where its slug is another's, it gets one of its own, which is returned.
pub(crate) async fn insert(conn: &mut PgConnection, product: &Product) -> Result<Slug, sqlx::Error> {
    let id = product.id.as_uuid().simple().to_string();
    let (_, end) = id.split_at(26);
    let (_, longer_end) = id.split_at(16);
    for slug in [product.slug.clone(), product.slug.with_suffix(end), product.slug.with_suffix(longer_end)] {
        let inserted = sqlx::query!(
            "insert into products (id, slug, name, description, category_id, status, recycled_percent, co2e_grams, version)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (slug) do nothing",
            product.id.as_uuid(),
            slug.as_str(),
            product.name.as_str(),
            product.description.as_str(),
            product.category.as_ref().map(|category| category.id),
            product.status.as_str(),
            product.recycled_percent,
            product.co2e_grams,
            product.version,
        )
        .execute(&mut *conn)
        .await?;
        if inserted.rows_affected() == 1 {
            variants::write(conn, product.id, &product.variants).await?;
            return Ok(slug);
        }
    }
    Err(sqlx::Error::RowNotFound)
}

/// Writes a product and its variants as they are now. Its slug never changes: addresses of products last.
pub(crate) async fn update(conn: &mut PgConnection, product: &Product) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update products set name = $2, description = $3, category_id = $4, status = $5, recycled_percent = $6,
                             co2e_grams = $7, version = $8
         where id = $1",
        product.id.as_uuid(),
        product.name.as_str(),
        product.description.as_str(),
        product.category.as_ref().map(|category| category.id),
        product.status.as_str(),
        product.recycled_percent,
        product.co2e_grams,
        product.version,
    )
    .execute(&mut *conn)
    .await?;
    variants::write(conn, product.id, &product.variants).await
}

/// The products of `rows` with their variants, in the same order.
pub(super) async fn with_variants(conn: &mut PgConnection, rows: Vec<ProductRow>) -> Result<Vec<Listed>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id.as_uuid()).collect();
    let mut variants = variants::of_products(conn, &ids).await?;
    let listed = rows.into_iter().map(|row| {
        let variants = variants.remove(&row.id).unwrap_or_default();
        Ok(Listed {
            product: Product {
                id: row.id,
                slug: row.slug,
                name: row.name,
                description: row.description,
                category: row.category_id.zip(row.category).map(|(id, name)| Category { id, name }),
                status: stored(&row.status)?,
                recycled_percent: row.recycled_percent,
                co2e_grams: row.co2e_grams,
                version: row.version,
                variants,
            },
            sort_name: row.sort_name,
        })
    });
    listed.collect()
}

async fn with_variants_of_one(
    conn: &mut PgConnection,
    row: Option<ProductRow>,
) -> Result<Option<Product>, sqlx::Error> {
    let Some(row) = row else { return Ok(None) };
    Ok(with_variants(conn, vec![row]).await?.pop().map(|listed| listed.product))
}
