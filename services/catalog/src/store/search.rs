//! Search: full text first; where that finds nothing, names that look alike.

use db::Database;
use sqlx::PgConnection;
use types::PageLimit;

use super::products::{self, ProductRow, select_products};
use crate::domain::{Product, SearchText};

/// The products that match `text` best, best first.
pub(crate) async fn search(
    database: &Database,
    text: &SearchText,
    limit: PageLimit,
) -> Result<Vec<Product>, sqlx::Error> {
    let mut tx = database.begin("search").await?;
    let mut rows = by_words(&mut tx, text, limit).await?;
    if rows.is_empty() && !text.text().is_empty() {
        rows = by_likeness(&mut tx, text, limit).await?;
    }
    let listed = products::with_variants(&mut tx, rows).await?;
    Ok(listed.into_iter().map(|listed| listed.product).collect())
}

/// Products with one of the words at least, or of that code or category: first by code, then those with all the words.
async fn by_words(
    conn: &mut PgConnection,
    text: &SearchText,
    limit: PageLimit,
) -> Result<Vec<ProductRow>, sqlx::Error> {
    select_products!(
        "join (
             select id, bool_or(exact) as exact from (
                 select id, false as exact from products where search @@ to_tsquery('english', $1)
                 union all select product_id, true from variants where lower(sku) = $3
                 union all select products.id, false from products join categories on categories.id = category_id
                           where categories.key = $3
             ) as candidates group by id
         ) as found on found.id = p.id
         where p.status = 'active'
         order by found.exact desc, p.search @@ to_tsquery('english', $2) desc,
                  ts_rank(p.search, to_tsquery('english', $1)) desc, word_similarity($3, p.sort_name) desc, p.id desc
         limit $4",
        text.any_word(),
        text.all_words(),
        text.text(),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
}

/// Products with a name in which something looks like the text, for those who mistype.
async fn by_likeness(
    conn: &mut PgConnection,
    text: &SearchText,
    limit: PageLimit,
) -> Result<Vec<ProductRow>, sqlx::Error> {
    // How alike two words must be; 0.6 where nothing is said, which forgives too little in short words.
    sqlx::query_scalar!("select set_config('pg_trgm.word_similarity_threshold', '0.4', true)")
        .fetch_one(&mut *conn)
        .await?;
    select_products!(
        "where p.status = 'active' and $1 <% p.sort_name
         order by word_similarity($1, p.sort_name) desc, p.id desc limit $2",
        text.text(),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
}
