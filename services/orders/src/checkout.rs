//! Checkout: cart, prices, stock, order. Each step can be repeated under the order's id, so a try that broke off anywhere is
//! taken up by the next one with the same `Idempotency-Key`, and ends in the same order. No transaction is open while
//! another service is asked.
//!
//! 1. The cart is priced at the catalogue, and the draft kept (`checkouts`).
//! 2. Stock is reserved for the draft: all of it or none.
//! 3. Order, payment, event and answer are written in one transaction.
//!
//! What is reserved for an order that is never written runs out by itself.

use axum::{http::StatusCode, response::Response};
use events::{OrderCreated, OrderEvent, OrderLineData};
use kit::http::{ETag, Idempotent, Problem, TraceContext};
use types::{MoneyError, OrderId, UserId};

use crate::{
    App,
    calls::{self, Reservation},
    domain::{Draft, DraftError, Order, PaymentMethod, ShippingAddress},
    http::OrderView,
    store::{
        checkouts,
        orders::{self, NewOrder},
    },
};

/// Seconds by which a reservation outlives the time in which its order can be paid. More than a checkout may be taken up
/// again, so that stock is held for as long as it can be paid for.
pub(crate) const RESERVATION_MARGIN: u32 = 600;

/// A checkout that this process has claimed.
#[derive(Debug)]
pub(crate) struct Checkout {
    pub(crate) customer_id: UserId,
    pub(crate) method: PaymentMethod,
    pub(crate) shipping_address: ShippingAddress,
    pub(crate) claimed: Idempotent,
    pub(crate) trace: TraceContext,
}

/// Why a checkout ends without an order.
enum Stop {
    /// For good: the key keeps this answer.
    Refused(Problem),
    /// For now: the same request may be sent again.
    Failed(Problem),
}

impl<E: Into<Problem>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Takes a claimed checkout to its end, and gives the answer.
pub(crate) async fn run(app: &App, checkout: Checkout) -> Result<Response, Problem> {
    match attempt(app, &checkout).await {
        Ok(answer) => {
            app.outbox.wake();
            Ok(answer)
        }
        Err(Stop::Refused(problem)) => refuse(app, &checkout, problem).await,
        Err(Stop::Failed(problem)) => {
            let_go(app, &checkout).await;
            Err(problem)
        }
    }
}

async fn attempt(app: &App, checkout: &Checkout) -> Result<Response, Stop> {
    let order_id = checkout.order_id();
    let draft = draft(app, checkout).await?;
    let ttl = app.payment_timeout.saturating_add(RESERVATION_MARGIN);
    match calls::reserve(&app.inventory, order_id, &draft, ttl, &checkout.trace).await? {
        Reservation::Held => write(app, checkout, &draft).await,
        Reservation::Short(lines) => {
            let detail = "there is not enough in stock of some lines: nothing was ordered";
            Err(Stop::Refused(Problem::conflict("out_of_stock", detail).with("lines", lines)))
        }
        Reservation::Released => Err(Stop::Refused(expired())),
    }
}

/// What is ordered: the draft of an earlier try, else the cart as it is now.
async fn draft(app: &App, checkout: &Checkout) -> Result<Draft, Stop> {
    let order_id = checkout.order_id();
    let begun = {
        let mut connection = app.database.pool().acquire().await.map_err(Problem::from)?;
        checkouts::find(&mut connection, order_id).await.map_err(Problem::from)?
    };
    if let Some(begun) = begun {
        if begun.expired {
            calls::release(&app.inventory, order_id, &checkout.trace).await?;
            return Err(Stop::Refused(expired()));
        }
        return Ok(begun.draft);
    }
    let wanted = calls::cart(&app.cart, checkout.customer_id, &checkout.trace).await?;
    let offers = calls::offers(&app.catalog, &wanted, &checkout.trace).await?;
    let draft = Draft::price(&wanted, offers, app.currency).map_err(refusal)?;
    let mut tx = app.database.begin("begin_checkout").await.map_err(Problem::from)?;
    if !checkouts::begin(&mut tx, order_id, &draft).await.map_err(Problem::from)? {
        return Err(Stop::Failed(overtaken()));
    }
    tx.commit().await.map_err(Problem::from)?;
    Ok(draft)
}

/// Writes the order whose stock is held, and all that belongs to it.
async fn write(app: &App, checkout: &Checkout, draft: &Draft) -> Result<Response, Stop> {
    let mut tx = app.database.begin("place_order").await.map_err(Problem::from)?;
    if !checkouts::end(&mut tx, checkout.order_id()).await.map_err(Problem::from)? {
        return Err(Stop::Failed(overtaken()));
    }
    let new = NewOrder {
        id: checkout.order_id(),
        customer_id: checkout.customer_id,
        draft,
        method: checkout.method,
        shipping_address: &checkout.shipping_address,
        payment_timeout: app.payment_timeout,
    };
    let order = orders::insert(&mut tx, &new).await.map_err(Problem::from)?;
    let traceparent = checkout.trace.traceparent().map(str::to_owned);
    db::outbox::append(&mut tx, created(&order), traceparent).await.map_err(Problem::from)?;
    let etag = Some(ETag(order.version));
    let answer = checkout.claimed.complete(&mut tx, StatusCode::CREATED, etag, &OrderView::from(order)).await?;
    tx.commit().await.map_err(Problem::from)?;
    metrics_of_checkout("placed");
    Ok(answer)
}

/// Keeps a refusal as the answer of the key.
async fn refuse(app: &App, checkout: &Checkout, problem: Problem) -> Result<Response, Problem> {
    metrics_of_checkout(problem.code());
    let mut tx = app.database.begin("refuse_checkout").await?;
    checkouts::end(&mut tx, checkout.order_id()).await?;
    let answer = checkout.claimed.refuse(&mut tx, problem).await?;
    tx.commit().await?;
    Ok(answer)
}

/// Lets the key be used again at once. Where that fails too, its lease runs out soon.
async fn let_go(app: &App, checkout: &Checkout) {
    metrics_of_checkout("failed");
    let outcome = async {
        let mut connection = app.database.pool().acquire().await?;
        checkout.claimed.abandon(&mut connection).await
    };
    if let Err(error) = outcome.await {
        tracing::warn!(order = %checkout.order_id(), error = %kit::telemetry::Chain(&error), "a claim was not let go");
    }
}

fn metrics_of_checkout(outcome: &'static str) {
    metrics::counter!("checkouts_total", "outcome" => outcome).increment(1);
}

fn refusal(error: DraftError) -> Stop {
    Stop::Refused(match error {
        DraftError::Empty => Problem::conflict("cart_empty", "there is nothing in the cart"),
        DraftError::NotForSale(variants) => {
            let detail = "some lines of the cart are not for sale any more: take them out";
            Problem::conflict("not_for_sale", detail).with("variant_ids", variants)
        }
        DraftError::TooLarge(MoneyError::Overflow) => {
            Problem::conflict("total_too_large", "the total is too large for one order")
        }
        DraftError::TooLarge(error @ MoneyError::CurrencyMismatch) => return Stop::Failed(Problem::internal(error)),
    })
}

fn expired() -> Problem {
    let detail = "this checkout was broken off and its stock let go: check out again with a new Idempotency-Key";
    Problem::conflict("checkout_expired", detail)
}

fn overtaken() -> Problem {
    Problem::conflict("request_in_flight", "the same request is being worked on: try again in a moment")
}

fn created(order: &Order) -> OrderEvent {
    let lines = order.lines.iter().map(|line| OrderLineData {
        variant_id: line.variant_id,
        sku: line.sku.clone(),
        name: line.name.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
    });
    OrderEvent::Created(OrderCreated {
        order_id: order.id,
        number: order.number.clone(),
        customer_id: order.customer_id,
        lines: lines.collect(),
        total: order.total,
    })
}

impl Checkout {
    /// The order's id, which is the same for every try with the same key.
    fn order_id(&self) -> OrderId {
        OrderId::from_uuid(self.claimed.subject())
    }
}
