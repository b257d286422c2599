//! What stock may do. Pure: nothing here reads or writes anything.

mod adjustment;
mod reservation;
mod stock;

pub(crate) use adjustment::{Adjustment, AdjustmentRefused};
pub(crate) use reservation::{Lines, Plan, ShortLine, plan};
pub(crate) use stock::{Change, LARGEST_STOCK, MovementKind, Stock};
