//! What products may be. Pure: nothing here reads or writes anything.

mod change;
mod edit;
mod ids;
mod product;
mod refusal;
mod search;

pub(crate) use change::{ProductChange, RawChange, RawVariantChange};
pub(crate) use edit::Edit;
pub(crate) use ids::variant_id;
pub(crate) use product::{Category, NewProduct, NewVariant, Product, RawProduct, RawVariant, Status, Variant};
pub(crate) use refusal::{Refusal, Refusals};
pub(crate) use search::SearchText;
