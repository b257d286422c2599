//! What the platform's tables may forget.

use crate::Database;

/// Forgets idempotency keys older than a day (what clients were promised) and inbox entries older than a month (longer than
/// Kafka keeps the events). A thousand rows of each at the most, so that it never holds a lock for long; call it now and
/// then.
pub async fn forget_old(database: &Database) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from platform.idempotency where ctid in (
             select ctid from platform.idempotency
             where created_at < now() - interval '24 hours' and coalesce(locked_until, now()) <= now() limit 1000)"
    )
    .execute(database.pool())
    .await?;
    sqlx::query!(
        "delete from platform.inbox where ctid in (
             select ctid from platform.inbox where received_at < now() - interval '30 days' limit 1000)"
    )
    .execute(database.pool())
    .await?;
    Ok(())
}
