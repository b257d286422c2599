//! Sessions.

use jiff::Timestamp;
use sqlx::PgConnection;
use types::{PageLimit, SessionId, UserId};
use uuid::Uuid;

use crate::domain::{Chain, RefreshToken, SESSION_LIFETIME_DAYS};

/// Sessions one account may have at a time; the oldest ends when there is one more.
const MOST: i64 = 100;

/// A session as its owner sees it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user_agent: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A session whose row is locked.
pub(crate) struct Locked {
    pub(crate) account: UserId,
    pub(crate) chain: Chain,
}

/// Begins a session of an account that is not disabled and whose password is still the one that was verified. False where
/// it is not.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    account: UserId,
    password_hash: &str,
    first: &RefreshToken,
    user_agent: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let chain = Chain::beginning_with(first);
    let begun = sqlx::query!(
        "insert into sessions (id, account_id, chain_key, current_hash, user_agent, expires_at)
         select $1, id, $4, $5, $6, now() + make_interval(days => $7)
         from accounts where id = $2 and password_hash = $3 and disabled_at is null",
        first.session().as_uuid(),
        account.as_uuid(),
        password_hash,
        chain.key,
        chain.current_hash,
        user_agent,
        SESSION_LIFETIME_DAYS,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from sessions where id in (
             select id from sessions where account_id = $1 order by id desc offset $2 for update skip locked)",
        account.as_uuid(),
        MOST,
    )
    .execute(conn)
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// Locks a live session of an account that is not disabled, so that its refreshes happen one after another.
pub(crate) async fn lock(conn: &mut PgConnection, id: SessionId) -> Result<Option<Locked>, sqlx::Error> {
    let row = sqlx::query!(
        "select s.account_id, s.chain_key, s.generation, s.current_hash
         from sessions s join accounts a on a.id = s.account_id
         where s.id = $1 and s.expires_at > now() and a.disabled_at is null for update of s",
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Locked {
        account: row.account_id.into(),
        chain: Chain {
            key: row.chain_key,
            generation: u32::try_from(row.generation).unwrap_or_default(),
            current_hash: row.current_hash,
        },
    }))
}

/// Makes `token` the current one of its session.
pub(crate) async fn advance(conn: &mut PgConnection, token: &RefreshToken) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update sessions set generation = $2, current_hash = $3, last_used_at = now() where id = $1",
        token.session().as_uuid(),
        i32::try_from(token.generation()).expect("a chain ends long before"),
        token.hash(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The live sessions of an account, newest first, from before `before`; one more than a page shows.
pub(crate) async fn list(
    conn: &mut PgConnection,
    account: UserId,
    before: Option<SessionId>,
    limit: PageLimit,
) -> Result<Vec<Session>, sqlx::Error> {
    let rows = sqlx::query!(
        "select id, user_agent, created_at, last_used_at, expires_at from sessions
         where account_id = $1 and expires_at > now() and ($2::uuid is null or id < $2)
         order by id desc limit $3",
        account.as_uuid(),
        before.map(SessionId::as_uuid),
        limit.fetch(),
    )
    .fetch_all(conn)
    .await?;
    let session = |id: Uuid| SessionId::from_uuid(id);
    Ok(rows
        .into_iter()
        .map(|row| Session {
            id: session(row.id),
            user_agent: row.user_agent,
            created_at: row.created_at.to_jiff(),
            last_used_at: row.last_used_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
        })
        .collect())
}

/// Ends a session of an account. False where it has no such session.
pub(crate) async fn end(conn: &mut PgConnection, account: UserId, id: SessionId) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query!("delete from sessions where id = $1 and account_id = $2", id.as_uuid(), account.as_uuid())
        .execute(conn)
        .await?;
    Ok(ended.rows_affected() == 1)
}

/// Ends every session of an account but `kept`.
pub(crate) async fn end_all(
    conn: &mut PgConnection,
    account: UserId,
    kept: Option<SessionId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from sessions where account_id = $1 and ($2::uuid is null or id <> $2)",
        account.as_uuid(),
        kept.map(SessionId::as_uuid),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets sessions that have expired, a thousand at the most.
pub(crate) async fn forget_old(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from sessions where id in (select id from sessions where expires_at < now() limit 1000)")
        .execute(conn)
        .await?;
    Ok(())
}
