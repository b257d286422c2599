//! `GET /api/products/{id or slug}`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use kit::{
    auth::Caller,
    http::{Json, Path, Problem},
};
use types::{ProductId, Role, Slug};

use super::body::{ProductBody, etag, unknown_product};
use crate::{App, store};

/// Length of a UUID with its hyphens.
const UUID_LENGTH: usize = 36;

/// A product by its id or slug
#[utoipa::path(
    get,
    path = "/api/products/{id}",
    tag = "catalog",
    params(("id" = String, Path, description = "The product's id, or its slug")),
    responses(
        (status = 200, description = "The product, with its ETag", body = ProductBody),
        (status = 404, description = "No such product", body = Problem),
    ),
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Option<Caller>,
    Path(id_or_slug): Path<String>,
) -> Result<Response, Problem> {
    let mut conn = app.database.pool().acquire().await?;
    let id = id_or_slug.parse::<ProductId>().ok().filter(|_| id_or_slug.len() == UUID_LENGTH);
    let product = match (id, id_or_slug.parse::<Slug>()) {
        (Some(id), _) => store::products::by_id(&mut conn, id).await?,
        (None, Ok(slug)) => store::products::by_slug(&mut conn, &slug).await?,
        (None, Err(_)) => None,
    };
    let sees_all = caller.is_some_and(|caller| caller.has(Role::Staff));
    let product = product.filter(|product| sees_all || product.is_public()).ok_or_else(unknown_product)?;
    Ok((etag(&product), Json(ProductBody::from(product))).into_response())
}
