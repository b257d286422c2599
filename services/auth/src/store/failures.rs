//! Failed logins.

use sqlx::PgConnection;

use crate::domain::{Limit, WINDOW_SECONDS};

/// Seconds until `subject` may be tried again; `None` where it may be now.
pub(crate) async fn wait(conn: &mut PgConnection, subject: &[u8], limit: Limit) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select ceil(extract(epoch from window_ends - now()))::bigint as "seconds!"
           from login_failures where subject = $1 and failures >= $2 and window_ends > now()"#,
        subject,
        limit.0,
    )
    .fetch_optional(conn)
    .await
}

/// Counts a failure.
pub(crate) async fn count(conn: &mut PgConnection, subject: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into login_failures as f (subject, failures, window_ends)
         values ($1, 1, now() + make_interval(secs => $2))
         on conflict (subject) do update set
             failures = case when f.window_ends > now() then least(f.failures + 1, 1000000) else 1 end,
             window_ends = case when f.window_ends > now() then f.window_ends else excluded.window_ends end",
        subject,
        WINDOW_SECONDS,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets the failures of `subjects`: the owner has logged in.
pub(crate) async fn forget(conn: &mut PgConnection, subjects: &[Vec<u8>]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from login_failures where subject = any($1)", subjects).execute(conn).await?;
    Ok(())
}

/// Forgets windows that have ended, a thousand at the most.
pub(crate) async fn forget_old(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from login_failures where subject in (
             select subject from login_failures where window_ends < now() limit 1000)"
    )
    .execute(conn)
    .await?;
    Ok(())
}
