//! Holding stock for an order: all lines or none, once however often it is asked.

use rpc::inventory::v1::{ReserveRequest, ReserveResponse, Reserved, Short, ShortLine, reserve_response::Outcome};
use tonic::Status;
use types::{OrderId, VariantId};
use uuid::Uuid;

use super::{failed, id};
use crate::{
    App,
    domain::{Lines, MovementKind, Plan, plan},
    store::{
        reservations::{self, Claim},
        stock::{self, Cause},
    },
};

/// The longest a reservation may be asked to hold: a week.
const LONGEST_TTL: u32 = 7 * 24 * 3600;

/// A request that makes sense.
struct Wanted {
    order_id: OrderId,
    lines: Lines,
    ttl: u32,
}

/// Holds what `request` asks for. A repeat with other lines, which comes from an order that was broken off before it was
/// written, holds those instead.
pub(super) async fn reserve(
    app: &App,
    request: &ReserveRequest,
    trace: Option<String>,
) -> Result<ReserveResponse, Status> {
    let Wanted { order_id, lines, ttl } = parse(request)?;
    if let Some(short) = refuse_at_once(app, order_id, &lines).await.map_err(failed)? {
        return Ok(short);
    }
    let mut tx = app.database.begin("reserve").await.map_err(failed)?;
    let held = match reservations::claim(&mut tx, order_id, ttl).await.map_err(failed)? {
        Claim::New => Lines::default(),
        Claim::Held => reservations::lines(&mut tx, order_id).await.map_err(failed)?,
        Claim::Released => return Err(Status::failed_precondition("the reservation of this order was released")),
    };
    let variants: Vec<Uuid> = held.iter().chain(lines.iter()).map(|(id, _)| id.as_uuid()).collect();
    let stock = stock::lock(&mut tx, &variants).await.map_err(failed)?;
    let cause = |kind| Cause::order(kind, order_id);
    let outcome = match plan(&held, &lines, &stock) {
        Plan::Hold(changes) if changes.is_empty() => Outcome::Reserved(Reserved {}),
        Plan::Hold(changes) => {
            stock::change(&mut tx, &changes, cause(MovementKind::Reserved), trace).await.map_err(failed)?;
            reservations::replace_lines(&mut tx, order_id, &held, &lines).await.map_err(failed)?;
            Outcome::Reserved(Reserved {})
        }
        Plan::Short { lines, changes } => {
            stock::change(&mut tx, &changes, cause(MovementKind::Released), trace).await.map_err(failed)?;
            reservations::forget(&mut tx, order_id).await.map_err(failed)?;
            short(lines)
        }
    };
    tx.commit().await.map_err(failed)?;
    app.signal.wake();
    Ok(ReserveResponse { outcome: Some(outcome) })
}

/// The refusal of a new order for which there is not enough by what was last committed. It takes no lock, so that those
/// who come too late for an item do not hold up those who buy another.
async fn refuse_at_once(app: &App, order_id: OrderId, lines: &Lines) -> Result<Option<ReserveResponse>, sqlx::Error> {
    let mut conn = app.database.pool().acquire().await?;
    let variants: Vec<Uuid> = lines.iter().map(|(id, _)| id.as_uuid()).collect();
    let stock = stock::peek(&mut conn, &variants).await?;
    match plan(&Lines::default(), lines, &stock) {
        Plan::Short { lines, .. } if !reservations::exists(&mut conn, order_id).await? => {
            Ok(Some(ReserveResponse { outcome: Some(short(lines)) }))
        }
        Plan::Short { .. } | Plan::Hold(_) => Ok(None),
    }
}

fn short(lines: Vec<crate::domain::ShortLine>) -> Outcome {
    Outcome::Short(Short { lines: lines.into_iter().map(ShortLine::from).collect() })
}

fn parse(request: &ReserveRequest) -> Result<Wanted, Status> {
    let lines = request.lines.iter().map(|line| {
        let variant_id: VariantId = id(&line.variant_id, "variant_id")?;
        Ok((variant_id, i64::from(line.quantity)))
    });
    let lines: Vec<_> = lines.collect::<Result<_, Status>>()?;
    if !(1..=LONGEST_TTL).contains(&request.ttl_seconds) {
        return Err(Status::invalid_argument("ttl_seconds must be 1 to 604800"));
    }
    Ok(Wanted {
        order_id: id(&request.order_id, "order_id")?,
        lines: Lines::new(lines).map_err(|refused| Status::invalid_argument(refused.to_string()))?,
        ttl: request.ttl_seconds,
    })
}

impl From<crate::domain::ShortLine> for ShortLine {
    fn from(line: crate::domain::ShortLine) -> Self {
        Self {
            variant_id: line.variant_id.to_string(),
            requested: u32::try_from(line.requested).unwrap_or(u32::MAX),
            available: line.available,
        }
    }
}
