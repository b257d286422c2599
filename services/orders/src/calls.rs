//! What checkout asks other services, in the words of this one.

use kit::{
    grpc::{call, problem, retrying},
    http::{Problem, TraceContext},
};
use rpc::{
    cart::v1::{GetCartRequest, cart_client::CartClient},
    catalog::v1::{GetVariantsRequest, Variant, catalog_client::CatalogClient},
    inventory::v1::{
        Line, ReleaseRequest, ReserveRequest, ShortLine, inventory_client::InventoryClient, reserve_response::Outcome,
    },
};
use serde::Serialize;
use tonic::{Code, transport::Channel};
use types::{Invalid, Money, OrderId, Quantity, UserId, VariantId};

use crate::domain::{Draft, Offer, Wanted};

/// What became of a reservation.
#[derive(Debug)]
pub(crate) enum Reservation {
    /// The stock is held.
    Held,
    /// Nothing is held: of these there is not enough.
    Short(Vec<ShortOf>),
    /// It was held for an earlier try and has been let go since.
    Released,
}

/// A variant of which there is not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ShortOf {
    variant_id: VariantId,
    requested: u32,
    available: i64,
}

/// Another service has answered something that its contract rules out.
#[derive(Debug, thiserror::Error)]
enum BadAnswer {
    #[error("an id is malformed")]
    Id(#[from] uuid::Error),
    #[error("a value is out of its bounds")]
    Value(#[from] Invalid),
    #[error("{0} is missing")]
    Missing(&'static str),
}

impl From<BadAnswer> for Problem {
    fn from(error: BadAnswer) -> Self {
        Self::internal(error)
    }
}

/// What is in the cart of `customer`.
pub(crate) async fn cart(
    client: &CartClient<Channel>,
    customer: UserId,
    trace: &TraceContext,
) -> Result<Vec<Wanted>, Problem> {
    let request = GetCartRequest { customer_id: customer.to_string() };
    let answer = retrying(|| {
        let (mut client, request) = (client.clone(), call(request.clone(), trace));
        async move { client.get_cart(request).await }
    });
    let lines = answer.await.map_err(|status| problem("cart", status))?.lines;
    let wanted = lines.into_iter().map(|line| {
        let quantity = Quantity::try_from(i64::from(line.quantity))?;
        Ok(Wanted { variant_id: line.variant_id.parse()?, quantity })
    });
    Ok(wanted.collect::<Result<_, BadAnswer>>()?)
}

/// What the catalogue says of the variants of `wanted` that can be bought.
pub(crate) async fn offers(
    client: &CatalogClient<Channel>,
    wanted: &[Wanted],
    trace: &TraceContext,
) -> Result<Vec<Offer>, Problem> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let request = GetVariantsRequest { variant_ids: wanted.iter().map(|line| line.variant_id.to_string()).collect() };
    let answer = retrying(|| {
        let (mut client, request) = (client.clone(), call(request.clone(), trace));
        async move { client.get_variants(request).await }
    });
    let variants = answer.await.map_err(|status| problem("catalog", status))?.variants;
    Ok(variants.into_iter().map(offer).collect::<Result<_, _>>()?)
}

/// Holds the stock of `draft` for `ttl` seconds. Repeated for the same order, it changes nothing.
pub(crate) async fn reserve(
    client: &InventoryClient<Channel>,
    order: OrderId,
    draft: &Draft,
    ttl: u32,
    trace: &TraceContext,
) -> Result<Reservation, Problem> {
    let lines = draft.lines().iter();
    let lines = lines.map(|line| Line { variant_id: line.variant_id.to_string(), quantity: line.quantity.get() });
    let request = ReserveRequest { order_id: order.to_string(), lines: lines.collect(), ttl_seconds: ttl };
    let answer = retrying(|| {
        let (mut client, request) = (client.clone(), call(request.clone(), trace));
        async move { client.reserve(request).await }
    });
    let outcome = match answer.await {
        Err(status) if status.code() == Code::FailedPrecondition => return Ok(Reservation::Released),
        answer => answer.map_err(|status| problem("inventory", status))?.outcome,
    };
    match outcome.ok_or(BadAnswer::Missing("the outcome of a reservation"))? {
        Outcome::Reserved(_) => Ok(Reservation::Held),
        Outcome::Short(short) => {
            let lines = short.lines.iter().map(short_of).collect::<Result<_, _>>();
            Ok(Reservation::Short(lines?))
        }
    }
}

/// Lets the stock of `order` go, if any is held.
pub(crate) async fn release(
    client: &InventoryClient<Channel>,
    order: OrderId,
    trace: &TraceContext,
) -> Result<(), Problem> {
    let request = ReleaseRequest { order_id: order.to_string() };
    let answer = retrying(|| {
        let (mut client, request) = (client.clone(), call(request.clone(), trace));
        async move { client.release(request).await }
    });
    answer.await.map(|_| ()).map_err(|status| problem("inventory", status))
}

fn offer(variant: Variant) -> Result<Offer, BadAnswer> {
    let price = variant.price.ok_or(BadAnswer::Missing("the price of a variant"))?;
    Ok(Offer {
        variant_id: variant.variant_id.parse()?,
        sku: variant.sku.parse()?,
        name: variant.name.parse()?,
        price: Money::new(price.amount, price.currency.parse()?).as_price()?,
    })
}

fn short_of(line: &ShortLine) -> Result<ShortOf, BadAnswer> {
    Ok(ShortOf { variant_id: line.variant_id.parse()?, requested: line.requested, available: line.available })
}
