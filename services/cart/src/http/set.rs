//! `PATCH /api/cart/items/{variant_id}`.

use axum::extract::State;
use kit::{
    auth::Caller,
    http::{Json, Path, Problem, TraceContext},
};
use serde::Deserialize;
use types::VariantId;

use super::{add::quantity, answer, away, view::CartView};
use crate::{App, domain::Line};

/// How many there shall be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetQuantity {
    /// Units, 1 to 10 000.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
}

/// Sets how many of a variant are in the caller's cart.
#[utoipa::path(
    patch, path = "/api/cart/items/{variant_id}", tag = "cart", operation_id = "set_cart_item",
    params(("variant_id" = VariantId, Path, description = "The variant")),
    request_body = SetQuantity,
    responses(
        (status = 200, description = "The cart with the new quantity", body = CartView),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The cart has no such line", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The quantity is not allowed", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn set(
    State(app): State<App>,
    caller: Caller,
    Path(variant_id): Path<VariantId>,
    trace: TraceContext,
    Json(body): Json<SetQuantity>,
) -> Result<Json<CartView>, Problem> {
    let line = Line { variant_id, quantity: quantity(body.quantity)? };
    if !app.carts.set(caller.user_id(), line).await.map_err(away)? {
        return Err(Problem::not_found("this variant is not in the cart"));
    }
    answer(&app, &caller, &trace).await
}
