//! The public interface.

mod add;
mod clear;
mod get;
mod remove;
mod set;
mod view;

use kit::{
    auth::Caller,
    http::{Json, Problem, TraceContext},
};
use redis::RedisError;
use types::MoneyError;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::view::CartView;
use crate::{App, calls, domain};

/// The routes, with their documentation.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get::get, clear::clear))
        .routes(routes!(add::add))
        .routes(routes!(set::set, remove::remove))
}

/// The caller's cart as it is now, at the prices of now.
async fn answer(app: &App, caller: &Caller, trace: &TraceContext) -> Result<Json<CartView>, Problem> {
    let lines = app.carts.read(caller.user_id()).await.map_err(away)?;
    let variants: Vec<_> = lines.iter().map(|line| line.variant_id).collect();
    let offers = calls::offers(&app.catalog, &variants, trace).await?;
    let priced = domain::price(&lines, offers, app.currency).map_err(|error| match error {
        MoneyError::Overflow => Problem::conflict("total_too_large", "the total is too large: take something out"),
        MoneyError::CurrencyMismatch => Problem::internal(error),
    })?;
    Ok(Json(CartView::from(priced)))
}

/// What a client is told when Redis did not answer as it should.
fn away(error: RedisError) -> Problem {
    if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        Problem::unavailable("the carts do not answer, try again").caused_by(error)
    } else {
        Problem::internal(error)
    }
}
