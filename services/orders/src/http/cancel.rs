//! `POST /api/orders/{id}/cancel`.

use axum::{extract::State, http::StatusCode, response::Response};
use events::{CancellationReason, OrderCancelled, OrderEvent};
use kit::{
    auth::Caller,
    http::{ETag, IdempotencyKey, IfMatch, Path, Problem, TraceContext, answer_once},
};
use types::OrderId;

use super::{OrderView, get::visible};
use crate::{
    App,
    domain::{Move, Order, PaymentStatus},
    store::orders,
};

/// Cancels an order that is not paid yet; its stock is released. For its customer and for staff.
#[utoipa::path(
    post, path = "/api/orders/{id}/cancel", tag = "orders", operation_id = "cancel_order",
    params(
        ("id" = OrderId, Path, description = "The order"),
        ("If-Match" = String, Header, description = "The ETag of the order as the caller has read it"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again"),
    ),
    responses(
        (status = 200, description = "The order, cancelled", body = OrderView, headers(("ETag" = String))),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such order of the caller", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`order_not_cancellable`: it is past that", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since it was read", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<OrderId>,
    key: Option<IdempotencyKey>,
    if_match: IfMatch,
    trace: TraceContext,
) -> Result<Response, Problem> {
    let mut tx = app.database.begin("cancel_order").await?;
    let claimed = match key {
        None => None,
        Some(key) => match key.claim(&mut tx, caller.user_id(), &id, id).await {
            Ok(claimed) => Some(claimed),
            Err(answer) => return Ok(answer),
        },
    };
    let order = visible(orders::find_for_update(&mut tx, id).await?, &caller)?;
    if_match.check(order.version)?;
    let mut order = cancelled(order)?;
    order.version = orders::cancel(&mut tx, id).await?;
    let event = OrderCancelled { order_id: id, customer_id: order.customer_id, reason: CancellationReason::Customer };
    db::outbox::append(&mut tx, OrderEvent::Cancelled(event), trace.into_traceparent()).await?;
    let etag = ETag(order.version);
    let answer = answer_once(claimed.as_ref(), &mut tx, StatusCode::OK, Some(etag), &OrderView::from(order)).await?;
    tx.commit().await?;
    app.outbox.wake();
    Ok(answer)
}

/// The order after it was cancelled, if it may be.
fn cancelled(order: Order) -> Result<Order, Problem> {
    let Some(status) = order.status.after(Move::Cancel) else {
        let detail = format!("the order is {}: only a pending one can be cancelled", order.status.as_str());
        return Err(Problem::conflict("order_not_cancellable", detail));
    };
    let mut order = Order { status, ..order };
    order.payment.status = PaymentStatus::Cancelled;
    Ok(order)
}
