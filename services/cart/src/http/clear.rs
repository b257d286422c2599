//! `DELETE /api/cart`.

use axum::extract::State;
use kit::{
    auth::Caller,
    http::{Json, Problem, TraceContext},
};

use super::{answer, away, view::CartView};
use crate::App;

/// Empties the caller's cart.
#[utoipa::path(
    delete, path = "/api/cart", tag = "cart", operation_id = "clear_cart",
    responses(
        (status = 200, description = "The cart, empty", body = CartView),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn clear(
    State(app): State<App>,
    caller: Caller,
    trace: TraceContext,
) -> Result<Json<CartView>, Problem> {
    app.carts.clear(caller.user_id()).await.map_err(away)?;
    answer(&app, &caller, &trace).await
}
