//! The public interface: one file an endpoint.

mod adjust;
mod body;
mod get;
mod movements;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// Every route of the service.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get::get)).routes(routes!(adjust::adjust)).routes(routes!(movements::list))
}
