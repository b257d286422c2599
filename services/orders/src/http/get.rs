//! `GET /api/orders/{id}`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use kit::{
    auth::Caller,
    http::{ETag, Json, Path, Problem},
};
use types::OrderId;

use super::OrderView;
use crate::{App, domain::Order, store::orders};

/// One order. That of another customer is not found, but for staff.
#[utoipa::path(
    get, path = "/api/orders/{id}", tag = "orders", operation_id = "get_order",
    params(("id" = OrderId, Path, description = "The order")),
    responses(
        (status = 200, description = "The order; its version is the ETag", body = OrderView, headers(("ETag" = String))),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such order of the caller", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, Path(id): Path<OrderId>) -> Result<Response, Problem> {
    let mut connection = app.database.pool().acquire().await?;
    let order = visible(orders::find(&mut connection, id).await?, &caller)?;
    Ok((ETag(order.version), Json(OrderView::from(order))).into_response())
}

/// The order, if the caller may see it.
pub(super) fn visible(order: Option<Order>, caller: &Caller) -> Result<Order, Problem> {
    order.filter(|order| caller.may_see(order.customer_id)).ok_or_else(|| Problem::not_found("you have no such order"))
}
