//! Accounts.

use sqlx::PgConnection;
use types::{EmailAddress, PageLimit, Role, ShortText, UserId};
use uuid::Uuid;

use crate::domain::{Account, AccountStatus};

/// An account with what proves that someone is its owner.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) account: Account,
    pub(crate) password_hash: String,
}

/// An account to be made.
#[derive(Debug)]
pub(crate) struct NewAccount<'a> {
    pub(crate) id: UserId,
    pub(crate) email: &'a EmailAddress,
    pub(crate) name: &'a ShortText,
    pub(crate) password_hash: &'a str,
    pub(crate) roles: &'a [Role],
}

struct Row {
    id: Uuid,
    email: EmailAddress,
    name: ShortText,
    password_hash: String,
    roles: Vec<String>,
    disabled: bool,
    created_at: jiff_sqlx::Timestamp,
}

impl From<Row> for Credentials {
    fn from(row: Row) -> Self {
        let account = Account {
            id: row.id.into(),
            email: row.email,
            name: row.name,
            // A role of a newer release is none that this one can grant anything for.
            roles: row.roles.iter().filter_map(|role| role.parse().ok()).collect(),
            status: if row.disabled { AccountStatus::Disabled } else { AccountStatus::Active },
            created_at: row.created_at.to_jiff(),
        };
        Self { account, password_hash: row.password_hash }
    }
}

/// Makes an account. `None` where its address has one already.
pub(crate) async fn insert(conn: &mut PgConnection, new: NewAccount<'_>) -> Result<Option<Account>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"insert into accounts (id, email, name, password_hash, roles) values ($1, $2, $3, $4, $5)
           on conflict on constraint accounts_email_key do nothing
           returning id, email as "email: _", name as "name: _", password_hash, roles,
                     disabled_at is not null as "disabled!", created_at"#,
        new.id.as_uuid(),
        new.email.as_str(),
        new.name.as_str(),
        new.password_hash,
        &names(new.roles),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Credentials::from(row).account))
}

/// The account of an address.
pub(crate) async fn by_email(
    conn: &mut PgConnection,
    email: &EmailAddress,
) -> Result<Option<Credentials>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, email as "email: _", name as "name: _", password_hash, roles,
                  disabled_at is not null as "disabled!", created_at
           from accounts where email = $1"#,
        email.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Credentials::from))
}

/// An account.
pub(crate) async fn by_id(conn: &mut PgConnection, id: UserId) -> Result<Option<Credentials>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, email as "email: _", name as "name: _", password_hash, roles,
                  disabled_at is not null as "disabled!", created_at
           from accounts where id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Credentials::from))
}

/// Accounts, newest first, from before `before`; one more than a page shows.
pub(crate) async fn list(
    conn: &mut PgConnection,
    email: Option<&EmailAddress>,
    before: Option<UserId>,
    limit: PageLimit,
) -> Result<Vec<Account>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, email as "email: _", name as "name: _", password_hash, roles,
                  disabled_at is not null as "disabled!", created_at
           from accounts where ($1::text is null or email = $1) and ($2::uuid is null or id < $2)
           order by id desc limit $3"#,
        email.map(EmailAddress::as_str),
        before.map(UserId::as_uuid),
        limit.fetch(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| Credentials::from(row).account).collect())
}

/// Gives an account another password, unless it has changed since `old_hash` was read. False where it has, or where the
/// account is gone.
pub(crate) async fn set_password(
    conn: &mut PgConnection,
    id: UserId,
    old_hash: &str,
    new_hash: &str,
) -> Result<bool, sqlx::Error> {
    let changed = sqlx::query!(
        "update accounts set password_hash = $3 where id = $1 and password_hash = $2",
        id.as_uuid(),
        old_hash,
        new_hash,
    )
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Sets what an account may do. `None` where there is no such account.
pub(crate) async fn set_roles(
    conn: &mut PgConnection,
    id: UserId,
    roles: &[Role],
) -> Result<Option<Account>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"update accounts set roles = $2 where id = $1
           returning id, email as "email: _", name as "name: _", password_hash, roles,
                     disabled_at is not null as "disabled!", created_at"#,
        id.as_uuid(),
        &names(roles),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Credentials::from(row).account))
}

/// Sets whether the owner of an account may log in. `None` where there is no such account.
pub(crate) async fn set_status(
    conn: &mut PgConnection,
    id: UserId,
    status: AccountStatus,
) -> Result<Option<Account>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"update accounts set disabled_at = case when $2 then coalesce(disabled_at, now()) end where id = $1
           returning id, email as "email: _", name as "name: _", password_hash, roles,
                     disabled_at is not null as "disabled!", created_at"#,
        id.as_uuid(),
        status == AccountStatus::Disabled,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Credentials::from(row).account))
}

/// Deletes an account with its sessions. False where there is none.
pub(crate) async fn delete(conn: &mut PgConnection, id: UserId) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!("delete from accounts where id = $1", id.as_uuid()).execute(conn).await?;
    Ok(deleted.rows_affected() == 1)
}

/// Roles as the database has them: each once, in their order.
fn names(roles: &[Role]) -> Vec<String> {
    let roles: std::collections::BTreeSet<Role> = roles.iter().copied().collect();
    roles.into_iter().map(|role| role.as_str().to_owned()).collect()
}
