//! The public interface: one file an endpoint.

mod archive;
mod body;
mod categories;
mod create;
mod get;
mod list;
mod search;
mod update;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// Every route of the service.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get, update::update, archive::archive))
        .routes(routes!(categories::list))
        .routes(routes!(search::search))
}
