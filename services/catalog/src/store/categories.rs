//! Categories.

use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use types::{PageLimit, ShortText, Slug};

use crate::domain::Category;

/// A category as the list of them shows it.
#[derive(Debug, Clone)]
pub(crate) struct CategoryRow {
    /// The name in lower case, by which they are sorted.
    pub(crate) key: String,
    /// Its place in addresses.
    pub(crate) slug: String,
    /// Its name.
    pub(crate) name: String,
    /// Products in it that are for sale.
    pub(crate) products: i64,
}

/// The category of that slug or name.
pub(crate) async fn find(conn: &mut PgConnection, slug_or_name: &str) -> Result<Option<Category>, sqlx::Error> {
    sqlx::query_as!(
        Category,
        "select id, name from categories where key = $1 or slug = $1 order by key = $1 desc limit 1",
        slug_or_name.to_lowercase(),
    )
    .fetch_optional(conn)
    .await
}

/// The category of that name; a new one where there is none.
pub(crate) async fn find_or_create(conn: &mut PgConnection, name: &ShortText) -> Result<Category, sqlx::Error> {
    let key = name.as_str().to_lowercase();
    if let Some(category) = by_key(conn, &key).await? {
        return Ok(category);
    }
    let slug = Slug::from_title(name.as_str());
    insert(conn, &key, &slug, name).await?;
    if let Some(category) = by_key(conn, &key).await? {
        return Ok(category);
    }
    // Another category has this slug: "♻ bags" and "bags".
    let number = Sha256::digest(&key).iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    let suffix = format!("{number:08x}");
    insert(conn, &key, &slug.with_suffix(&suffix), name).await?;
    by_key(conn, &key).await?.ok_or(sqlx::Error::RowNotFound)
}

/// The categories whose name in lower case comes after `after`.
pub(crate) async fn list(
    conn: &mut PgConnection,
    after: &str,
    limit: PageLimit,
) -> Result<Vec<CategoryRow>, sqlx::Error> {
    sqlx::query_as!(
        CategoryRow,
        r#"select key, slug, name,
                  (select count(*) from products where category_id = c.id and status = 'active') as "products!"
           from categories c where key > $1 order by key limit $2"#,
        after,
        limit.fetch(),
    )
    .fetch_all(conn)
    .await
}

async fn by_key(conn: &mut PgConnection, key: &str) -> Result<Option<Category>, sqlx::Error> {
    sqlx::query_as!(Category, "select id, name from categories where key = $1", key).fetch_optional(conn).await
}

async fn insert(conn: &mut PgConnection, key: &str, slug: &Slug, name: &ShortText) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into categories (key, slug, name) values ($1, $2, $3) on conflict do nothing",
        key,
        slug.as_str(),
        name.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
