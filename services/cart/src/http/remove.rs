//! `DELETE /api/cart/items/{variant_id}`.

use axum::extract::State;
use kit::{
    auth::Caller,
    http::{Json, Path, Problem, TraceContext},
};
use types::VariantId;

use super::{answer, away, view::CartView};
use crate::App;

/// Takes a variant out of the caller's cart, if it is there.
#[utoipa::path(
    delete, path = "/api/cart/items/{variant_id}", tag = "cart", operation_id = "remove_cart_item",
    params(("variant_id" = VariantId, Path, description = "The variant")),
    responses(
        (status = 200, description = "The cart without it", body = CartView),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Not the id of a variant", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(variant_id): Path<VariantId>,
    trace: TraceContext,
) -> Result<Json<CartView>, Problem> {
    app.carts.remove(caller.user_id(), variant_id).await.map_err(away)?;
    answer(&app, &caller, &trace).await
}
