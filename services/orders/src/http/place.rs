//! `POST /api/orders`: the request; what it sets going is in [`crate::checkout`].

use axum::{extract::State, response::Response};
use kit::{
    auth::Caller,
    http::{IdempotencyKey, Json, Problem, TraceContext},
};
use serde::{Deserialize, Serialize};
use types::OrderId;

use super::OrderView;
use crate::{
    App,
    checkout::{self, Checkout},
    domain::{PaymentMethod, ShippingAddress},
};

/// What is needed beside the cart.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceOrder {
    /// How it will be paid.
    payment: PaymentChoice,
    /// Where it goes.
    shipping_address: ShippingAddress,
}

/// How an order will be paid.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PaymentChoice {
    /// What the payment is made with.
    method: PaymentMethod,
}

/// Orders what is in the caller's cart, at the prices of the catalogue; all of it, or nothing.
#[utoipa::path(
    post, path = "/api/orders", tag = "orders", operation_id = "place_order",
    params(("Idempotency-Key" = String, Header, description = "Names this checkout: sent again, it gives the same answer")),
    request_body = PlaceOrder,
    responses(
        (status = 201, description = "The order, its stock reserved until it is paid or its time is up", body = OrderView, headers(("ETag" = String))),
        (status = 400, description = "No Idempotency-Key, or a body that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`cart_empty`, `not_for_sale` (with `variant_ids`), `out_of_stock` (with `lines`), `total_too_large`, `checkout_expired`, `request_in_flight`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key was used for another request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "A part of the shop is away: send the same request again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn place(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    trace: TraceContext,
    Json(body): Json<PlaceOrder>,
) -> Result<Response, Problem> {
    let mut tx = app.database.begin("claim_checkout").await?;
    let claimed = match key.claim(&mut tx, caller.user_id(), &body, OrderId::new()).await {
        Ok(claimed) => claimed,
        Err(answer) => return Ok(answer),
    };
    tx.commit().await?;
    let PlaceOrder { payment, shipping_address } = body;
    let checkout = Checkout { customer_id: caller.user_id(), method: payment.method, shipping_address, claimed, trace };
    checkout::run(&app, checkout).await
}
