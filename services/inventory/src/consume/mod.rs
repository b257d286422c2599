//! What the service does about the events of others: one file a topic.

mod catalog;
mod order;

pub(crate) use catalog::ProductEvents;
pub(crate) use order::OrderEvents;
