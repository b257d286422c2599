//! `GET /api/orders`.

use axum::extract::State;
use kit::{
    auth::Caller,
    http::{Json, Problem, Query},
};
use serde::Deserialize;
use types::{Cursor, OrderId, Page, PageLimit, Role, UserId};

use super::OrderView;
use crate::{
    App,
    domain::OrderStatus,
    store::orders::{self, Filter},
};

/// What of the list is shown.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// How many orders a page shows, 1 to 100; 20 where nothing is said.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<PageLimit>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Only orders that stand here.
    status: Option<OrderStatus>,
    /// Those of every customer; for staff.
    #[serde(default)]
    all: bool,
    /// Those of this customer; for staff.
    customer_id: Option<UserId>,
}

/// Orders, the newest first: the caller's own, or for staff those of everybody or of one customer.
#[utoipa::path(
    get, path = "/api/orders", tag = "orders", operation_id = "list_orders", params(Parameters),
    responses(
        (status = 200, description = "A page of orders", body = Page<OrderView>),
        (status = 400, description = "A parameter cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Orders of others are for staff", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let limit = parameters.limit.unwrap_or_default();
    let filter = filter(parameters, &caller)?;
    let mut connection = app.database.pool().acquire().await?;
    let rows = orders::list(&mut connection, filter, limit).await?;
    Ok(Json(Page::from_rows(rows, limit, |order| order.id).map(OrderView::from)))
}

fn filter(parameters: Parameters, caller: &Caller) -> Result<Filter, Problem> {
    let Parameters { limit: _, cursor, status, all, customer_id } = parameters;
    let of_others = all || customer_id.is_some_and(|customer| customer != caller.user_id());
    if of_others && !caller.has(Role::Staff) {
        return Err(Problem::forbidden("only staff may list the orders of others"));
    }
    let before = cursor.map(|cursor| Cursor::<OrderId>::decode(&cursor)).transpose();
    let before = before.map_err(|error| Problem::bad_request("invalid_cursor", format!("cursor {error}")))?;
    let customer_id = if all { customer_id } else { Some(customer_id.unwrap_or_else(|| caller.user_id())) };
    Ok(Filter { customer_id, status, before: before.map(|Cursor(id)| id) })
}
