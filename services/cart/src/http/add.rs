//! `POST /api/cart/items`.

use axum::{extract::State, http::StatusCode};
use kit::{
    auth::Caller,
    http::{IdempotencyKey, Json, Problem, TraceContext},
};
use serde::{Deserialize, Serialize};
use types::{Quantity, VariantId};

use super::{answer, away, view::CartView};
use crate::{
    App, calls,
    domain::{Line, MOST_LINES},
    store::{Added, Keyed},
};

/// What to put into the cart.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddItem {
    /// The variant.
    variant_id: VariantId,
    /// Units, 1 to 10 000.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
}

/// Puts units of a variant into the caller's cart, beside those that are in it. With an `Idempotency-Key` it does so once,
/// however often it is sent; the answer is the cart as it is then.
#[utoipa::path(
    post, path = "/api/cart/items", tag = "cart", operation_id = "add_cart_item",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again")),
    request_body = AddItem,
    responses(
        (status = 200, description = "The cart with them", body = CartView),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`cart_full`: it has a hundred lines", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The quantity is not allowed, or the variant is not for sale", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    trace: TraceContext,
    Json(body): Json<AddItem>,
) -> Result<Json<CartView>, Problem> {
    let line = Line { variant_id: body.variant_id, quantity: quantity(body.quantity)? };
    if calls::offers(&app.catalog, &[line.variant_id], &trace).await?.is_empty() {
        return Err(Problem::invalid_field("variant_id", "must be a variant that is for sale"));
    }
    let keyed = key.map(|key| Keyed { key: key.digest(), hash: format!("{} {}", line.variant_id, body.quantity) });
    match app.carts.add(caller.user_id(), line, keyed.as_ref()).await.map_err(away)? {
        Added::Done => answer(&app, &caller, &trace).await,
        Added::TooManyLines => {
            Err(Problem::conflict("cart_full", format!("a cart holds at most {MOST_LINES} different variants")))
        }
        Added::TooManyUnits => {
            let most = Quantity::MAX;
            Err(Problem::invalid_field(
                "quantity",
                format!("together with what is in the cart, must be at most {most}"),
            ))
        }
        Added::KeyReused => {
            let detail = "this Idempotency-Key was used for another request: use a new one";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail))
        }
    }
}

/// The quantity of a request.
pub(super) fn quantity(units: i64) -> Result<Quantity, Problem> {
    Quantity::try_from(units).map_err(|refused| Problem::invalid_field("quantity", refused))
}
