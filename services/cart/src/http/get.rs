//! `GET /api/cart`.

use axum::extract::State;
use kit::{
    auth::Caller,
    http::{Json, Problem, TraceContext},
};

use super::{answer, view::CartView};
use crate::App;

/// The caller's cart, at the prices of now. It always exists, and is empty at first.
#[utoipa::path(
    get, path = "/api/cart", tag = "cart", operation_id = "get_cart",
    responses(
        (status = 200, description = "The cart", body = CartView),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    trace: TraceContext,
) -> Result<Json<CartView>, Problem> {
    answer(&app, &caller, &trace).await
}
