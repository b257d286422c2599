//! Checkouts under way.

use sqlx::PgConnection;
use types::OrderId;

use super::undecodable;
use crate::domain::Draft;

/// Seconds a checkout may be taken up again. Its reservation holds much longer than the payment time-out of an order that is
/// placed this late, so that no unpaid order outlives its reservation.
pub(crate) const RESUMABLE_SECONDS: f64 = 300.0;

/// A checkout that an earlier try has begun.
#[derive(Debug)]
pub(crate) struct Checkout {
    /// What is ordered.
    pub(crate) draft: Draft,
    /// It was begun too long ago to go on.
    pub(crate) expired: bool,
}

/// Begins the checkout of `order` with `draft`. False where another try has begun it.
pub(crate) async fn begin(conn: &mut PgConnection, order: OrderId, draft: &Draft) -> Result<bool, sqlx::Error> {
    let draft = serde_json::to_value(draft).expect("drafts are plain data");
    let begun = sqlx::query!(
        "insert into checkouts (order_id, draft) values ($1, $2) on conflict do nothing",
        order.as_uuid(),
        draft,
    )
    .execute(conn)
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// The checkout of `order` that an earlier try has begun, if one has.
pub(crate) async fn find(conn: &mut PgConnection, order: OrderId) -> Result<Option<Checkout>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select draft, created_at < now() - make_interval(secs => $2) as "expired!" from checkouts where order_id = $1"#,
        order.as_uuid(),
        RESUMABLE_SECONDS,
    )
    .fetch_optional(conn)
    .await?;
    let read = |row: serde_json::Value| serde_json::from_value(row).map_err(undecodable);
    row.map(|row| Ok(Checkout { draft: read(row.draft)?, expired: row.expired })).transpose()
}

/// Ends the checkout of `order`. False where there is none.
pub(crate) async fn end(conn: &mut PgConnection, order: OrderId) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query!("delete from checkouts where order_id = $1", order.as_uuid()).execute(conn).await?;
    Ok(ended.rows_affected() == 1)
}

/// Forgets checkouts that were broken off more than a day ago, when their keys are forgotten too.
pub(crate) async fn forget_old(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from checkouts where created_at < now() - interval '25 hours'").execute(conn).await?;
    Ok(())
}
