//! What an order is and what may happen to it. Nothing here does any I/O.

mod draft;
mod number;
mod order;
mod status;

pub use draft::{Draft, DraftError, Offer, Wanted};
pub use number::OrderNumber;
pub use order::{Order, OrderLine, Payment, PaymentMethod, PaymentStatus, ShippingAddress};
pub use status::{Move, OrderStatus};
