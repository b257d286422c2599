//! Reservations. Their lines exist while they hold stock: for each variant, the lines add up to what is reserved.
//!
//! Locks: first the reservation, then the stock of its variants.

use sqlx::PgConnection;
use types::{OrderId, VariantId};
use uuid::Uuid;

use super::stock::{self, Cause};
use crate::domain::{Lines, MovementKind};

/// What an order's reservation was when it was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// There was none; there is one now, without lines.
    New,
    /// It holds stock.
    Held,
    /// It was released, for good.
    Released,
}

/// Finds or makes the reservation of `order_id` and locks it. It will hold for `ttl` seconds from now at least.
pub(crate) async fn claim(conn: &mut PgConnection, order_id: OrderId, ttl: u32) -> Result<Claim, sqlx::Error> {
    // xmax is 0 in a row that was just inserted, and this transaction's id in one that was there.
    let row = sqlx::query!(
        r#"insert into reservations as r (order_id, status, expires_at)
           values ($1, 'held', now() + make_interval(secs => $2))
           on conflict (order_id) do update
               set expires_at = case r.status when 'held' then greatest(r.expires_at, excluded.expires_at)
                                              else r.expires_at end
           returning status, (xmax = 0) as "inserted!""#,
        order_id.as_uuid(),
        f64::from(ttl),
    )
    .fetch_one(conn)
    .await?;
    Ok(match (row.inserted, row.status.as_str()) {
        (true, _) => Claim::New,
        (false, "held") => Claim::Held,
        (false, _) => Claim::Released,
    })
}

/// What the order holds.
pub(crate) async fn lines(conn: &mut PgConnection, order_id: OrderId) -> Result<Lines, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select variant_id as "variant_id: VariantId", quantity from reservation_lines where order_id = $1"#,
        order_id.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    Ok(Lines::from_stored(rows.into_iter().map(|row| (row.variant_id, row.quantity))))
}

/// Whether the order has a reservation, held or released.
pub(crate) async fn exists(conn: &mut PgConnection, order_id: OrderId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from reservations where order_id = $1) as "exists!""#,
        order_id.as_uuid()
    )
    .fetch_one(conn)
    .await
}

/// Makes `lines` what the order holds, which has held `held`.
pub(crate) async fn replace_lines(
    conn: &mut PgConnection,
    order_id: OrderId,
    held: &Lines,
    lines: &Lines,
) -> Result<(), sqlx::Error> {
    if *held != Lines::default() {
        take_lines(conn, order_id).await?;
    }
    let (ids, units): (Vec<Uuid>, Vec<i64>) = lines.iter().map(|(id, units)| (id.as_uuid(), units)).unzip();
    sqlx::query!(
        "insert into reservation_lines (order_id, variant_id, quantity)
         select $1, variant_id, quantity from unnest($2::uuid[], $3::bigint[]) as line (variant_id, quantity)",
        order_id.as_uuid(),
        &ids,
        &units,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the reservation without a trace, so that the order may try again.
pub(crate) async fn forget(conn: &mut PgConnection, order_id: OrderId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from reservations where order_id = $1", order_id.as_uuid()).execute(conn).await?;
    Ok(())
}

/// Lets go of what the order holds, for good. True where it held something.
pub(crate) async fn release(
    conn: &mut PgConnection,
    order_id: OrderId,
    trace: Option<String>,
) -> Result<bool, sqlx::Error> {
    sqlx::query!(
        "insert into reservations as r (order_id, status, expires_at, released_at)
         values ($1, 'released', now(), now())
         on conflict (order_id) do update
             set status = 'released', released_at = coalesce(r.released_at, excluded.released_at)",
        order_id.as_uuid(),
    )
    .execute(&mut *conn)
    .await?;
    let lines = take_lines(conn, order_id).await?;
    let ids: Vec<Uuid> = lines.iter().map(|(id, _)| id.as_uuid()).collect();
    stock::lock(conn, &ids).await?;
    let cause = Cause::order(MovementKind::Released, order_id);
    let changed = stock::change(conn, &lines.release(), cause, trace).await?;
    Ok(!changed.is_empty())
}

/// A reservation that has expired by the database's clock, locked. Those that somebody works on are passed over.
pub(crate) async fn next_due(conn: &mut PgConnection) -> Result<Option<OrderId>, sqlx::Error> {
    let order_id = sqlx::query_scalar!(
        "select order_id from reservations where status = 'held' and expires_at <= now()
         order by expires_at limit 1 for update skip locked"
    )
    .fetch_optional(conn)
    .await?;
    Ok(order_id.map(OrderId::from_uuid))
}

async fn take_lines(conn: &mut PgConnection, order_id: OrderId) -> Result<Lines, sqlx::Error> {
    let rows = sqlx::query!(
        r#"delete from reservation_lines where order_id = $1
           returning variant_id as "variant_id: VariantId", quantity"#,
        order_id.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    Ok(Lines::from_stored(rows.into_iter().map(|row| (row.variant_id, row.quantity))))
}
