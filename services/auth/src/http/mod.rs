//! The service's HTTP interface: one endpoint, one file.

mod account;
mod admin;
mod change_password;
mod client;
mod delete;
mod jwks;
mod login;
mod logout;
mod refresh;
mod register;
mod sessions;
mod tokens;

use axum::routing::{post, put};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

pub(crate) use tokens::Issuer;

/// Every route, with its part of the API document. The routes without one are aliases that existing clients use.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(account::me))
        .routes(routes!(change_password::change_password))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(delete::delete))
        .route("/api/auth/delete", put(delete::delete).delete(delete::delete))
        .routes(routes!(admin::list))
        .routes(routes!(admin::show))
        .routes(routes!(admin::set_roles))
        .routes(routes!(admin::set_status))
        .routes(routes!(jwks::jwks))
        .route("/auth/register", post(register::register))
        .route("/auth/login", post(login::login))
}
