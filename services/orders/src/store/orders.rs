//! Orders, with their lines and payments.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgConnection;
use types::{Currency, Money, OrderId, PageLimit, PaymentId, Quantity, ShortText, Sku, UserId, VariantId};
use uuid::Uuid;

use super::undecodable;
use crate::domain::{
    Draft, Order, OrderLine, OrderNumber, OrderStatus, Payment, PaymentMethod, PaymentStatus, ShippingAddress,
};

/// An order that is placed now.
#[derive(Debug)]
pub(crate) struct NewOrder<'a> {
    pub(crate) id: OrderId,
    pub(crate) customer_id: UserId,
    pub(crate) draft: &'a Draft,
    pub(crate) method: PaymentMethod,
    pub(crate) shipping_address: &'a ShippingAddress,
    /// Seconds from now until it must be paid.
    pub(crate) payment_timeout: u32,
}

/// Which orders a list shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    /// Those of one customer.
    pub(crate) customer_id: Option<UserId>,
    /// Those that stand here.
    pub(crate) status: Option<OrderStatus>,
    /// Those placed before this one.
    pub(crate) before: Option<OrderId>,
}

/// An unpaid order whose time is up.
#[derive(Debug)]
pub(crate) struct Overdue {
    pub(crate) id: OrderId,
    pub(crate) customer_id: UserId,
    pub(crate) status: OrderStatus,
}

struct Row {
    id: Uuid,
    number: String,
    customer_id: Uuid,
    status: String,
    currency: String,
    total: i64,
    shipping_address: Value,
    version: i64,
    created_at: jiff_sqlx::Timestamp,
    payment_id: Uuid,
    payment_method: String,
    payment_status: String,
}

/// Orders with their payments; `$rest` follows the join.
macro_rules! select_orders {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select o.id, o.number, o.customer_id, o.status, o.currency, o.total, o.shipping_address, o.version,
                    o.created_at, p.id as payment_id, p.method as payment_method, p.status as payment_status
             from orders o join payments p on p.order_id = o.id " + $rest
            $(, $argument)*
        )
    };
}

/// Places an order as `pending`, with its payment. Its number and times are the database's.
pub(crate) async fn insert(conn: &mut PgConnection, new: &NewOrder<'_>) -> Result<Order, sqlx::Error> {
    let number = next_number(conn).await?;
    let total = new.draft.total();
    let address = serde_json::to_value(new.shipping_address).expect("addresses are plain data");
    let row = sqlx::query!(
        "insert into orders (id, number, customer_id, status, currency, total, shipping_address, payment_due_at)
         values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8)) returning created_at, version",
        new.id.as_uuid(),
        number,
        new.customer_id.as_uuid(),
        OrderStatus::Pending.as_str(),
        total.currency().code(),
        total.amount(),
        address,
        f64::from(new.payment_timeout),
    )
    .fetch_one(&mut *conn)
    .await?;
    insert_lines(conn, new.id, new.draft.lines()).await?;
    let payment = insert_payment(conn, new).await?;
    Ok(Order {
        id: new.id,
        number,
        customer_id: new.customer_id,
        status: OrderStatus::Pending,
        lines: new.draft.lines().to_vec(),
        total,
        payment,
        shipping_address: new.shipping_address.clone(),
        created_at: row.created_at.to_jiff(),
        version: row.version,
    })
}

/// The order `id`.
pub(crate) async fn find(conn: &mut PgConnection, id: OrderId) -> Result<Option<Order>, sqlx::Error> {
    let row = select_orders!("where o.id = $1", id.as_uuid()).fetch_optional(&mut *conn).await?;
    Ok(with_lines(conn, row.into_iter().collect()).await?.pop())
}

/// The order `id`, which nobody else changes until the end of the transaction.
pub(crate) async fn find_for_update(conn: &mut PgConnection, id: OrderId) -> Result<Option<Order>, sqlx::Error> {
    let row = select_orders!("where o.id = $1 for update", id.as_uuid()).fetch_optional(&mut *conn).await?;
    Ok(with_lines(conn, row.into_iter().collect()).await?.pop())
}

/// Orders, the newest first: one more than a page shows.
pub(crate) async fn list(conn: &mut PgConnection, filter: Filter, limit: PageLimit) -> Result<Vec<Order>, sqlx::Error> {
    let (before, status) = (filter.before.map(OrderId::as_uuid), filter.status.map(OrderStatus::as_str));
    // Two queries, so that each has a plan of its own: one walks the customer's index, the other the primary key.
    let rows = match filter.customer_id {
        Some(customer) => {
            select_orders!(
                "where o.customer_id = $1 and ($2::uuid is null or o.id < $2) and ($3::text is null or o.status = $3)
                 order by o.id desc limit $4",
                customer.as_uuid(),
                before,
                status,
                limit.fetch(),
            )
            .fetch_all(&mut *conn)
            .await?
        }
        None => {
            select_orders!(
                "where ($1::uuid is null or o.id < $1) and ($2::text is null or o.status = $2)
                 order by o.id desc limit $3",
                before,
                status,
                limit.fetch(),
            )
            .fetch_all(&mut *conn)
            .await?
        }
    };
    with_lines(conn, rows).await
}

/// Cancels an order and its payment. The caller holds its row and has checked that it may be cancelled. Gives its new
/// version.
pub(crate) async fn cancel(conn: &mut PgConnection, id: OrderId) -> Result<i64, sqlx::Error> {
    let version = sqlx::query_scalar!(
        "update orders set status = $2, version = version + 1, updated_at = now() where id = $1 returning version",
        id.as_uuid(),
        OrderStatus::Cancelled.as_str(),
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "update payments set status = $2, updated_at = now() where order_id = $1",
        id.as_uuid(),
        PaymentStatus::Cancelled.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(version)
}

/// Up to `limit` unpaid orders whose time is up by this database's clock, and that nobody else is changing. They stay
/// locked until the end of the transaction.
pub(crate) async fn lock_overdue(conn: &mut PgConnection, limit: i64) -> Result<Vec<Overdue>, sqlx::Error> {
    let rows = sqlx::query!(
        "select id, customer_id, status from orders where status = 'pending' and payment_due_at <= now()
         order by payment_due_at limit $1 for update skip locked",
        limit,
    )
    .fetch_all(conn)
    .await?;
    let overdue = rows.into_iter().map(|row| {
        Ok(Overdue {
            id: row.id.into(),
            customer_id: row.customer_id.into(),
            status: row.status.parse().map_err(undecodable)?,
        })
    });
    overdue.collect()
}

async fn next_number(conn: &mut PgConnection) -> Result<String, sqlx::Error> {
    let row = sqlx::query!(
        r#"select extract(year from now() at time zone 'utc')::smallint as "year!", nextval('order_numbers') as "sequence!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(OrderNumber::new(row.year, row.sequence).to_string())
}

async fn insert_lines(conn: &mut PgConnection, order: OrderId, lines: &[OrderLine]) -> Result<(), sqlx::Error> {
    let positions: Vec<i32> = (0..).take(lines.len()).collect();
    let variants: Vec<Uuid> = lines.iter().map(|line| line.variant_id.as_uuid()).collect();
    let skus: Vec<String> = lines.iter().map(|line| line.sku.to_string()).collect();
    let names: Vec<String> = lines.iter().map(|line| line.name.to_string()).collect();
    let quantities: Vec<i32> = lines.iter().map(|line| line.quantity.get().cast_signed()).collect();
    let prices: Vec<i64> = lines.iter().map(|line| line.unit_price.amount()).collect();
    let totals: Vec<i64> = lines.iter().map(|line| line.line_total.amount()).collect();
    sqlx::query!(
        "insert into order_lines (order_id, position, variant_id, sku, name, quantity, unit_price, line_total)
         select $1, * from unnest($2::integer[], $3::uuid[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::bigint[])",
        order.as_uuid(),
        &positions,
        &variants,
        &skus,
        &names,
        &quantities,
        &prices,
        &totals,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_payment(conn: &mut PgConnection, new: &NewOrder<'_>) -> Result<Payment, sqlx::Error> {
    let payment = Payment { id: PaymentId::new(), method: new.method, status: PaymentStatus::Pending };
    sqlx::query!(
        "insert into payments (id, order_id, method, status, amount) values ($1, $2, $3, $4, $5)",
        payment.id.as_uuid(),
        new.id.as_uuid(),
        payment.method.as_str(),
        payment.status.as_str(),
        new.draft.total().amount(),
    )
    .execute(conn)
    .await?;
    Ok(payment)
}

/// The orders of `rows` with their lines, which are read at once for all of them.
async fn with_lines(conn: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<Order>, sqlx::Error> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let lines = sqlx::query!(
        "select order_id, variant_id, sku, name, quantity, unit_price, line_total from order_lines
         where order_id = any($1) order by order_id, position",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let currencies: HashMap<Uuid, Currency> =
        rows.iter().map(|row| Ok((row.id, currency(row)?))).collect::<Result<_, sqlx::Error>>()?;
    let mut by_order: HashMap<Uuid, Vec<OrderLine>> = HashMap::with_capacity(rows.len());
    for line in lines {
        let Some(currency) = currencies.get(&line.order_id).copied() else { continue };
        by_order.entry(line.order_id).or_default().push(OrderLine {
            variant_id: VariantId::from_uuid(line.variant_id),
            sku: line.sku.parse::<Sku>().map_err(undecodable)?,
            name: line.name.parse::<ShortText>().map_err(undecodable)?,
            quantity: Quantity::try_from(i64::from(line.quantity)).map_err(undecodable)?,
            unit_price: Money::new(line.unit_price, currency),
            line_total: Money::new(line.line_total, currency),
        });
    }
    rows.into_iter()
        .map(|row| {
            let lines = by_order.remove(&row.id).unwrap_or_default();
            order(row, lines)
        })
        .collect()
}

fn order(row: Row, lines: Vec<OrderLine>) -> Result<Order, sqlx::Error> {
    let total = Money::new(row.total, currency(&row)?);
    Ok(Order {
        id: row.id.into(),
        number: row.number,
        customer_id: row.customer_id.into(),
        status: row.status.parse().map_err(undecodable)?,
        lines,
        total,
        payment: Payment {
            id: row.payment_id.into(),
            method: row.payment_method.parse().map_err(undecodable)?,
            status: row.payment_status.parse().map_err(undecodable)?,
        },
        shipping_address: serde_json::from_value(row.shipping_address).map_err(undecodable)?,
        created_at: row.created_at.to_jiff(),
        version: row.version,
    })
}

fn currency(row: &Row) -> Result<Currency, sqlx::Error> {
    row.currency.parse().map_err(undecodable)
}
