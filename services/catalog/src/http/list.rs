//! `GET /api/products`

use axum::extract::State;
use kit::{
    auth::Caller,
    http::{Json, Problem, Query},
};
use serde::{Deserialize, de::DeserializeOwned};
use types::{Cursor, Page, PageLimit, Role};
use uuid::Uuid;

use super::body::ProductBody;
use crate::{
    App,
    domain::{Product, Status},
    store::{self, products::Filter},
};

/// Which products, in which order.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only of this category: its slug or its name.
    category: Option<String>,
    /// `newest` (where nothing is said) or `name`.
    #[param(inline)]
    sort: Option<Sort>,
    /// Only in this status: `active` where nothing is said; the others are for staff.
    #[param(inline)]
    status: Option<StatusName>,
    /// Entries per page, 1 to 100; 20 where nothing is said.
    #[param(value_type = Option<u32>)]
    limit: Option<PageLimit>,
    /// The `next` of the page before; of the same category, status and order.
    cursor: Option<String>,
}

/// The order of a list of products.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProductSort)]
enum Sort {
    /// The newest first.
    #[default]
    Newest,
    /// By name, from A to Z.
    Name,
}

/// The status of a product.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProductStatus)]
enum StatusName {
    /// Not for sale yet.
    Draft,
    /// For sale.
    Active,
    /// Not for sale any more.
    Archived,
}

/// The products, in pages
#[utoipa::path(
    get,
    path = "/api/products",
    tag = "catalog",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of products", body = Page<ProductBody>),
        (status = 400, description = "A parameter is not one", body = Problem),
        (status = 403, description = "Drafts and archived products are for staff", body = Problem),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Option<Caller>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ProductBody>>, Problem> {
    let status = query.status.map_or(Status::Active, Status::from);
    if status != Status::Active && !caller.is_some_and(|caller| caller.has(Role::Staff)) {
        return Err(Problem::forbidden("drafts and archived products are for staff"));
    }
    if query.category.as_deref().is_some_and(|category| category.contains('\0')) {
        return Err(Problem::bad_request("invalid_query", "category must not have control characters"));
    }
    let mut conn = app.database.pool().acquire().await?;
    let category = match &query.category {
        Some(name) => match store::categories::find(&mut conn, name.trim()).await? {
            Some(category) => Some(category.id),
            None => return Ok(Json(Page { items: Vec::new(), next: None })),
        },
        None => None,
    };
    let filter = Filter { category, status };
    let limit = query.limit.unwrap_or_default();
    let cursor = query.cursor.as_deref();
    let page: Page<Product> = match query.sort.unwrap_or_default() {
        Sort::Newest => {
            let before = start(cursor)?.unwrap_or(Uuid::max());
            let rows = store::products::newest(&mut conn, filter, before, limit).await?;
            Page::from_rows(rows, limit, |product| product.id)
        }
        Sort::Name => {
            let after = start::<(String, Uuid)>(cursor)?.unwrap_or_default();
            if after.0.contains('\0') {
                return Err(invalid_cursor());
            }
            let rows = store::products::by_name(&mut conn, filter, &after, limit).await?;
            Page::from_rows(rows, limit, |row| (row.sort_name.clone(), row.product.id)).map(|row| row.product)
        }
    };
    Ok(Json(page.map(ProductBody::from)))
}

fn start<K: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<K>, Problem> {
    let cursor = cursor.map(Cursor::decode).transpose().map_err(|_| invalid_cursor())?;
    Ok(cursor.map(|Cursor(key)| key))
}

/// 400: the cursor is none of this list.
pub(super) fn invalid_cursor() -> Problem {
    Problem::bad_request("invalid_cursor", "cursor must be the `next` of an earlier page of the same list")
}

impl From<StatusName> for Status {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Draft => Self::Draft,
            StatusName::Active => Self::Active,
            StatusName::Archived => Self::Archived,
        }
    }
}
