//! The public interface.

mod cancel;
mod get;
mod list;
mod place;
mod view;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

pub(crate) use view::OrderView;

/// The routes, with their documentation.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(place::place, list::list))
        .routes(routes!(get::get))
        .routes(routes!(cancel::cancel))
}
