//! Movements: the history of a variant's stock.

use jiff::Timestamp;
use sqlx::PgConnection;
use types::{OrderId, PageLimit, UserId, VariantId};

/// A change of stock that was made.
#[derive(Debug, Clone)]
pub(crate) struct MovementRow {
    /// Its place in the history.
    pub(crate) seq: i64,
    /// Why: `initial`, `adjustment`, `reserved`, `released`.
    pub(crate) kind: String,
    /// Units that came into the warehouse.
    pub(crate) on_hand_delta: i64,
    /// Units that were held.
    pub(crate) reserved_delta: i64,
    /// What the person who made it said.
    pub(crate) reason: Option<String>,
    /// The order it was for.
    pub(crate) order_id: Option<OrderId>,
    /// The account that made it.
    pub(crate) actor_id: Option<UserId>,
    /// When.
    pub(crate) created_at: Timestamp,
}

/// The movements of a variant before `before`, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    variant_id: VariantId,
    before: i64,
    limit: PageLimit,
) -> Result<Vec<MovementRow>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select seq, kind, on_hand_delta, reserved_delta, reason, order_id as "order_id: OrderId",
                  actor_id as "actor_id: UserId", created_at
           from movements where variant_id = $1 and seq < $2 order by seq desc limit $3"#,
        variant_id.as_uuid(),
        before,
        limit.fetch(),
    )
    .fetch_all(conn)
    .await?;
    let movements = rows.into_iter().map(|row| MovementRow {
        seq: row.seq,
        kind: row.kind,
        on_hand_delta: row.on_hand_delta,
        reserved_delta: row.reserved_delta,
        reason: row.reason,
        order_id: row.order_id,
        actor_id: row.actor_id,
        created_at: row.created_at.to_jiff(),
    });
    Ok(movements.collect())
}
