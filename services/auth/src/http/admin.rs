//! What administrators do with accounts.

use axum::extract::State;
use kit::{
    auth::Admin,
    http::{Json, Path, Problem, Query},
};
use serde::Deserialize;
use types::{Cursor, EmailAddress, Page, PageLimit, Role, UserId};

use crate::{
    App,
    domain::{Account, AccountStatus},
    store::{accounts, sessions},
};

/// Which accounts.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// The account of this address only.
    #[param(value_type = Option<String>)]
    email: Option<EmailAddress>,
    /// How many, 1 to 100; 20 where nothing is said.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    limit: Option<PageLimit>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// What an account may do.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roles {
    /// All of them; `admin` may do what `staff` may.
    roles: Vec<Role>,
}

/// Whether the owner of an account may log in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    status: AccountStatus,
}

/// Accounts, newest first.
#[utoipa::path(
    get, path = "/api/auth/admin/users", tag = "auth administration", params(Which), security(("bearer" = [])),
    responses(
        (status = 200, body = Page<Account>), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    _admin: Admin,
    Query(Which { email, limit, cursor }): Query<Which>,
) -> Result<Json<Page<Account>>, Problem> {
    let limit = limit.unwrap_or_default();
    let before = cursor.map(|cursor| Cursor::<UserId>::decode(&cursor)).transpose();
    let before = before.map_err(|error| Problem::bad_request("invalid_cursor", format!("the cursor {error}")))?;
    let mut conn = app.database.pool().acquire().await?;
    let rows = accounts::list(&mut conn, email.as_ref(), before.map(|Cursor(id)| id), limit).await?;
    Ok(Json(Page::from_rows(rows, limit, |account| account.id)))
}

/// An account.
#[utoipa::path(
    get, path = "/api/auth/admin/users/{id}", tag = "auth administration", params(("id" = UserId, Path)),
    security(("bearer" = [])),
    responses(
        (status = 200, body = Account), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    _admin: Admin,
    Path(id): Path<UserId>,
) -> Result<Json<Account>, Problem> {
    let mut conn = app.database.pool().acquire().await?;
    let found = accounts::by_id(&mut conn, id).await?.ok_or_else(unknown)?;
    Ok(Json(found.account))
}

/// Sets what an account may do. Its next access token says so: in 15 minutes at the latest.
#[utoipa::path(
    put, path = "/api/auth/admin/users/{id}/roles", tag = "auth administration", params(("id" = UserId, Path)),
    request_body = Roles, security(("bearer" = [])),
    responses(
        (status = 200, body = Account), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "`own_account`: another administrator has to do it", body = Problem),
    )
)]
pub(crate) async fn set_roles(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(id): Path<UserId>,
    Json(Roles { roles }): Json<Roles>,
) -> Result<Json<Account>, Problem> {
    if id == caller.user_id() && !roles.contains(&Role::Admin) {
        return Err(own_account());
    }
    let mut conn = app.database.pool().acquire().await?;
    let account = accounts::set_roles(&mut conn, id, &roles).await?.ok_or_else(unknown)?;
    tracing::info!(by = %caller.user_id(), account = %id, roles = ?account.roles, "set roles");
    Ok(Json(account))
}

/// Disables an account, which ends its sessions, or lets its owner log in again. Access tokens are accepted until they
/// expire, for 15 minutes at the most.
#[utoipa::path(
    put, path = "/api/auth/admin/users/{id}/status", tag = "auth administration", params(("id" = UserId, Path)),
    request_body = Status, security(("bearer" = [])),
    responses(
        (status = 200, body = Account), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "`own_account`: another administrator has to do it", body = Problem),
    )
)]
pub(crate) async fn set_status(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(id): Path<UserId>,
    Json(Status { status }): Json<Status>,
) -> Result<Json<Account>, Problem> {
    if id == caller.user_id() && status == AccountStatus::Disabled {
        return Err(own_account());
    }
    let mut tx = app.database.begin("set-status").await?;
    let account = accounts::set_status(&mut tx, id, status).await?.ok_or_else(unknown)?;
    if status == AccountStatus::Disabled {
        sessions::end_all(&mut tx, id, None).await?;
    }
    tx.commit().await?;
    tracing::info!(by = %caller.user_id(), account = %id, ?status, "set the status");
    Ok(Json(account))
}

fn unknown() -> Problem {
    Problem::not_found("there is no such account")
}

fn own_account() -> Problem {
    Problem::conflict("own_account", "nobody takes this from themselves: another administrator has to do it")
}
