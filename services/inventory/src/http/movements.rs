//! `GET /api/inventory/{variant_id}/movements`

use axum::extract::State;
use jiff::Timestamp;
use kit::{
    auth::Staff,
    http::{Json, Path, Problem, Query},
};
use serde::{Deserialize, Serialize};
use types::{Cursor, OrderId, Page, PageLimit, UserId, VariantId};

use super::body::unknown_variant;
use crate::{
    App,
    store::{self, movements::MovementRow},
};

/// Which part of the history.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Entries per page, 1 to 100; 20 where nothing is said.
    #[param(value_type = Option<u32>)]
    limit: Option<PageLimit>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A change of stock that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Movement {
    /// Why: `initial`, `adjustment`, `reserved` or `released`.
    kind: String,
    /// Units that came into the warehouse; negative where they left it.
    on_hand_delta: i64,
    /// Units that were held for an order; negative where they were let go.
    reserved_delta: i64,
    /// What the person who made it said.
    reason: Option<String>,
    /// The order it was for.
    order_id: Option<OrderId>,
    /// The account that made it.
    actor_id: Option<UserId>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// The history of a variant's stock, newest first
#[utoipa::path(
    get,
    path = "/api/inventory/{variant_id}/movements",
    tag = "inventory",
    params(("variant_id" = VariantId, Path), ListQuery),
    responses(
        (status = 200, description = "A page of movements", body = Page<Movement>),
        (status = 404, description = "No such variant", body = Problem),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    _staff: Staff,
    Path(variant_id): Path<VariantId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Movement>>, Problem> {
    let before = match query.cursor.as_deref().map(Cursor::<i64>::decode).transpose() {
        Ok(cursor) => cursor.map_or(i64::MAX, |Cursor(seq)| seq),
        Err(error) => return Err(Problem::bad_request("invalid_cursor", format!("cursor {error}"))),
    };
    let limit = query.limit.unwrap_or_default();
    let mut conn = app.database.pool().acquire().await?;
    store::stock::find(&mut conn, variant_id).await?.ok_or_else(unknown_variant)?;
    let rows = store::movements::list(&mut conn, variant_id, before, limit).await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.seq).map(Movement::from)))
}

impl From<MovementRow> for Movement {
    fn from(row: MovementRow) -> Self {
        let MovementRow { seq: _, kind, on_hand_delta, reserved_delta, reason, order_id, actor_id, created_at } = row;
        Self { kind, on_hand_delta, reserved_delta, reason, order_id, actor_id, created_at }
    }
}
