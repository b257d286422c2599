//! `POST /api/inventory/{variant_id}/adjustments`

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use kit::{
    auth::Staff,
    http::{FieldError, IdempotencyKey, IfMatch, Json, Path, Problem, TraceContext, answer_once},
};
use serde::{Deserialize, Serialize};
use types::{ShortText, VariantId};

use super::body::{StockBody, etag, unknown_variant};
use crate::{
    App,
    domain::{Adjustment, AdjustmentRefused, MovementKind, Stock},
    store::{self, stock::Cause},
};

/// Units that came in or went out beside orders.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAdjustment)]
pub(crate) struct Body {
    /// Units to add; negative to take away.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    delta: i64,
    /// Why: "counted", "delivery 4711".
    #[schema(max_length = 200)]
    reason: String,
}

/// Adjust the stock of a variant
#[utoipa::path(
    post,
    path = "/api/inventory/{variant_id}/adjustments",
    tag = "inventory",
    params(
        ("variant_id" = VariantId, Path),
        ("If-Match" = String, Header, description = "The ETag of the stock that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable"),
    ),
    request_body = Body,
    responses(
        (status = 200, description = "The stock after it, with its ETag", body = StockBody),
        (status = 404, description = "No such variant", body = Problem),
        (status = 409, description = "Less would be left than is reserved", body = Problem),
        (status = 412, description = "The stock has changed since it was read", body = Problem),
        (status = 422, description = "A value is not allowed", body = Problem),
        (status = 428, description = "If-Match is missing", body = Problem),
    ),
)]
pub(crate) async fn adjust(
    State(app): State<App>,
    Staff(caller): Staff,
    Path(variant_id): Path<VariantId>,
    if_match: IfMatch,
    key: Option<IdempotencyKey>,
    trace: TraceContext,
    Json(body): Json<Body>,
) -> Result<Response, Problem> {
    let (adjustment, reason) = parse(&body)?;
    let mut tx = app.database.begin("adjust_stock").await?;
    let claimed = match key {
        Some(key) => match key.claim(&mut tx, caller.user_id(), &body, variant_id).await {
            Ok(claimed) => Some(claimed),
            Err(answer) => return Ok(answer),
        },
        None => None,
    };
    let locked = store::stock::lock(&mut tx, &[variant_id.as_uuid()]).await?;
    let stock = locked.first().ok_or_else(unknown_variant)?;
    if_match.check(stock.version)?;
    let change = adjustment.apply(stock).map_err(|refused| refusal(refused, stock))?;
    let cause = Cause {
        kind: MovementKind::Adjustment,
        reason: Some(reason.as_str()),
        order_id: None,
        actor: Some(caller.user_id()),
    };
    let changed = store::stock::change(&mut tx, &[change], cause, trace.into_traceparent()).await?;
    let stock = changed.first().ok_or_else(unknown_variant)?;
    let answer =
        answer_once(claimed.as_ref(), &mut tx, StatusCode::OK, Some(etag(stock)), &StockBody::from(stock)).await?;
    tx.commit().await?;
    app.signal.wake();
    Ok(answer.into_response())
}

fn parse(body: &Body) -> Result<(Adjustment, ShortText), Problem> {
    let refused =
        |field: &str, error: types::Invalid| FieldError { field: field.to_owned(), message: error.to_string() };
    match (Adjustment::try_from(body.delta), body.reason.parse::<ShortText>()) {
        (Ok(adjustment), Ok(reason)) => Ok((adjustment, reason)),
        (delta, reason) => {
            let delta = delta.err().map(|error| refused("delta", error));
            let reason = reason.err().map(|error| refused("reason", error));
            Err(Problem::invalid(delta.into_iter().chain(reason).collect()))
        }
    }
}

fn refusal(refused: AdjustmentRefused, stock: &Stock) -> Problem {
    match refused {
        AdjustmentRefused::BelowReserved => {
            Problem::conflict("below_reserved", "less would be left than is reserved for orders")
                .with("on_hand", stock.on_hand)
                .with("reserved", stock.reserved)
        }
        AdjustmentRefused::TooMuch => Problem::invalid_field("delta", refused),
    }
}
