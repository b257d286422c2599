//! `GET /api/inventory/{variant_id}`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use kit::{
    auth::Staff,
    http::{Json, Path, Problem},
};
use types::VariantId;

use super::body::{StockBody, etag, unknown_variant};
use crate::{App, store};

/// The stock of a variant
#[utoipa::path(
    get,
    path = "/api/inventory/{variant_id}",
    tag = "inventory",
    params(("variant_id" = VariantId, Path)),
    responses(
        (status = 200, description = "The stock, with its ETag", body = StockBody),
        (status = 401, description = "Not logged in", body = Problem),
        (status = 403, description = "Not staff", body = Problem),
        (status = 404, description = "No such variant", body = Problem),
    ),
)]
pub(crate) async fn get(
    State(app): State<App>,
    _staff: Staff,
    Path(variant_id): Path<VariantId>,
) -> Result<Response, Problem> {
    let mut conn = app.database.pool().acquire().await?;
    let stock = store::stock::find(&mut conn, variant_id).await?.ok_or_else(unknown_variant)?;
    Ok((etag(&stock), Json(StockBody::from(&stock))).into_response())
}
