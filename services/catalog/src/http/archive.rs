//! `DELETE /api/products/{id}`

use axum::{extract::State, http::StatusCode};
use db::outbox;
use events::{CatalogEvent, ProductRemoved};
use kit::{
    auth::Staff,
    http::{IfMatch, Path, Problem, TraceContext},
};
use types::ProductId;

use super::body::unknown_product;
use crate::{App, domain::Status, store};

/// Take a product out of the catalogue
///
/// Orders refer to it, so it stays as `archived`, where only staff see it.
#[utoipa::path(
    delete,
    path = "/api/products/{id}",
    tag = "catalog",
    params(
        ("id" = ProductId, Path),
        ("If-Match" = String, Header, description = "The ETag of the product that was read"),
    ),
    responses(
        (status = 204, description = "It is archived"),
        (status = 404, description = "No such product", body = Problem),
        (status = 412, description = "The product has changed since it was read", body = Problem),
        (status = 428, description = "If-Match is missing", body = Problem),
    ),
)]
pub(crate) async fn archive(
    State(app): State<App>,
    _staff: Staff,
    Path(id): Path<ProductId>,
    if_match: IfMatch,
    trace: TraceContext,
) -> Result<StatusCode, Problem> {
    let mut tx = app.database.begin("archive_product").await?;
    let mut product = store::products::lock(&mut tx, id).await?.ok_or_else(unknown_product)?;
    if_match.check(product.version)?;
    if product.status == Status::Archived {
        return Ok(StatusCode::NO_CONTENT);
    }
    product.status = Status::Archived;
    product.version += 1;
    store::products::update(&mut tx, &product).await?;
    let variant_ids = product.variants.iter().map(|variant| variant.id).collect();
    let event = CatalogEvent::Removed(ProductRemoved { product_id: id, variant_ids });
    outbox::append(&mut tx, event, trace.into_traceparent()).await?;
    tx.commit().await?;
    app.signal.wake();
    Ok(StatusCode::NO_CONTENT)
}
