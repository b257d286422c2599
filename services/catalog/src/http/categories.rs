//! `GET /api/categories`

use axum::extract::State;
use kit::http::{Json, Problem, Query};
use serde::{Deserialize, Serialize};
use types::{Cursor, Page, PageLimit};

use super::list::invalid_cursor;
use crate::{
    App,
    store::{self, categories::CategoryRow},
};

/// Which part of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Entries per page, 1 to 100; 20 where nothing is said.
    #[param(value_type = Option<u32>)]
    limit: Option<PageLimit>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A category of products.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Category {
    /// Its place in addresses, and what `GET /api/products?category=` takes.
    slug: String,
    /// Its name.
    name: String,
    /// Products in it that are for sale.
    products: i64,
}

/// The categories, by name
#[utoipa::path(
    get,
    path = "/api/categories",
    tag = "catalog",
    params(ListQuery),
    responses((status = 200, description = "A page of categories", body = Page<Category>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Category>>, Problem> {
    let after = match query.cursor.as_deref().map(Cursor::<String>::decode).transpose() {
        Ok(Some(Cursor(key))) if !key.contains('\0') => key,
        Ok(None) => String::new(),
        Ok(Some(_)) | Err(_) => return Err(invalid_cursor()),
    };
    let limit = query.limit.unwrap_or_default();
    let mut conn = app.database.pool().acquire().await?;
    let rows = store::categories::list(&mut conn, &after, limit).await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.key.clone()).map(Category::from)))
}

impl From<CategoryRow> for Category {
    fn from(CategoryRow { key: _, slug, name, products }: CategoryRow) -> Self {
        Self { slug, name, products }
    }
}
