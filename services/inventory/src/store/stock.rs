//! Stock, and every change of it. Rows are locked in the order of their ids, always.

use db::outbox;
use events::{InventoryEvent, StockChanged};
use sqlx::PgConnection;
use types::{OrderId, UserId, VariantId};
use uuid::Uuid;

use crate::domain::{Change, MovementKind, Stock};

/// What made a change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    /// Why stock changed.
    pub(crate) kind: MovementKind,
    /// What the person who changed it says.
    pub(crate) reason: Option<&'a str>,
    /// The order it changed for.
    pub(crate) order_id: Option<OrderId>,
    /// The account that changed it.
    pub(crate) actor: Option<UserId>,
}

impl Cause<'_> {
    /// The doing of an order.
    #[must_use]
    pub(crate) const fn order(kind: MovementKind, order_id: OrderId) -> Self {
        Self { kind, reason: None, order_id: Some(order_id), actor: None }
    }
}

/// The stock of a variant.
pub(crate) async fn find(conn: &mut PgConnection, variant_id: VariantId) -> Result<Option<Stock>, sqlx::Error> {
    sqlx::query_as!(
        Stock,
        r#"select variant_id as "variant_id: _", on_hand, reserved, version from stock where variant_id = $1"#,
        variant_id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
}

/// The stock of these variants as it was last committed. Variants without stock are left out.
pub(crate) async fn peek(conn: &mut PgConnection, variant_ids: &[Uuid]) -> Result<Vec<Stock>, sqlx::Error> {
    sqlx::query_as!(
        Stock,
        r#"select variant_id as "variant_id: _", on_hand, reserved, version from stock where variant_id = any($1)"#,
        variant_ids,
    )
    .fetch_all(conn)
    .await
}

/// The stock of these variants, locked until the end of the transaction. Variants without stock are left out.
pub(crate) async fn lock(conn: &mut PgConnection, variant_ids: &[Uuid]) -> Result<Vec<Stock>, sqlx::Error> {
    sqlx::query_as!(
        Stock,
        r#"select variant_id as "variant_id: _", on_hand, reserved, version from stock
           where variant_id = any($1) order by variant_id for no key update"#,
        variant_ids,
    )
    .fetch_all(conn)
    .await
}

/// Gives variants that have no stock yet their first, and announces it. `first` must be sorted by variant, and name none
/// twice.
pub(crate) async fn initialize(
    conn: &mut PgConnection,
    first: &[(VariantId, i64)],
    trace: Option<String>,
) -> Result<(), sqlx::Error> {
    let (ids, units): (Vec<Uuid>, Vec<i64>) = first.iter().map(|(id, units)| (id.as_uuid(), *units)).unzip();
    let stocks = sqlx::query_as!(
        Stock,
        r#"insert into stock (variant_id, on_hand)
           select variant_id, on_hand from unnest($1::uuid[], $2::bigint[]) as first (variant_id, on_hand)
           order by variant_id
           on conflict do nothing
           returning variant_id as "variant_id: _", on_hand, reserved, version"#,
        &ids,
        &units,
    )
    .fetch_all(&mut *conn)
    .await?;
    let (ids, units): (Vec<Uuid>, Vec<i64>) =
        stocks.iter().map(|stock| (stock.variant_id.as_uuid(), stock.on_hand)).unzip();
    sqlx::query!(
        "insert into movements (variant_id, kind, on_hand_delta, reserved_delta)
         select variant_id, $3, on_hand, 0 from unnest($1::uuid[], $2::bigint[]) as first (variant_id, on_hand)",
        &ids,
        &units,
        MovementKind::Initial.as_str(),
    )
    .execute(&mut *conn)
    .await?;
    announce(conn, &stocks, trace).await
}

/// Makes `changes`, notes the movements and announces the stock after them. The rows must be locked.
pub(crate) async fn change(
    conn: &mut PgConnection,
    changes: &[Change],
    cause: Cause<'_>,
    trace: Option<String>,
) -> Result<Vec<Stock>, sqlx::Error> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = changes.iter().map(|change| change.variant_id.as_uuid()).collect();
    let on_hand: Vec<i64> = changes.iter().map(|change| change.on_hand).collect();
    let reserved: Vec<i64> = changes.iter().map(|change| change.reserved).collect();
    let stocks = sqlx::query_as!(
        Stock,
        r#"with change as (
               select * from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as change (variant_id, on_hand, reserved)
           ), moved as (
               insert into movements (variant_id, kind, on_hand_delta, reserved_delta, reason, order_id, actor_id)
               select variant_id, $4, on_hand, reserved, $5, $6, $7 from change
           )
           update stock set on_hand = stock.on_hand + change.on_hand, reserved = stock.reserved + change.reserved,
                            version = stock.version + 1
           from change where stock.variant_id = change.variant_id
           returning stock.variant_id as "variant_id: _", stock.on_hand, stock.reserved, stock.version"#,
        &ids,
        &on_hand,
        &reserved,
        cause.kind.as_str(),
        cause.reason,
        cause.order_id.map(OrderId::as_uuid),
        cause.actor.map(UserId::as_uuid),
    )
    .fetch_all(&mut *conn)
    .await?;
    announce(conn, &stocks, trace).await?;
    Ok(stocks)
}

async fn announce(conn: &mut PgConnection, stocks: &[Stock], trace: Option<String>) -> Result<(), sqlx::Error> {
    for stock in stocks {
        let event = InventoryEvent::StockChanged(StockChanged {
            variant_id: stock.variant_id,
            on_hand: stock.on_hand,
            reserved: stock.reserved,
            available: stock.available(),
            version: stock.version,
        });
        outbox::append(conn, event, trace.clone()).await?;
    }
    Ok(())
}
