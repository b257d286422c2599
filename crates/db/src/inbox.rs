//! The inbox: what a consumer has taken, so that each event has its effect once however often Kafka delivers it.

use sqlx::PgConnection;
use uuid::Uuid;

/// Notes in the transaction of `conn` that `consumer` takes the event. False where it has taken it before: then there is
/// nothing to do.
pub async fn first_time(
    conn: &mut PgConnection,
    consumer: &str,
    event_id: impl Into<Uuid>,
) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query!(
        "insert into platform.inbox (consumer, event_id) values ($1, $2) on conflict do nothing",
        consumer,
        event_id.into(),
    )
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}
