//! What the service does about the events of others: one file a topic.

mod inventory;

pub(crate) use inventory::StockEvents;
