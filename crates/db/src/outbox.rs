//! The outbox: an event is written in the transaction that makes it true, and published afterwards by the one relay of the
//! database.
//!
//! The relay deletes what it has published rather than remembering a position: the order of `seq` is not the order of
//! commits, and a position would skip an event whose transaction commits late. Events of one aggregate are in order all the
//! same, because their transactions hold the aggregate's row lock when they append.

use events::{CloudEvent, Event};
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

/// An event that waits to be published.
#[derive(Debug)]
pub struct Pending {
    /// Its place in the outbox.
    pub seq: i64,
    /// Where it goes.
    pub topic: String,
    /// The id of its aggregate.
    pub key: String,
    /// The message.
    pub payload: Vec<u8>,
}

/// Appends `event`, to be published once the transaction of `conn` has committed. Its time is the database's.
///
/// Call it after the row of the aggregate was written, so that its lock orders the events of that aggregate.
pub async fn append<E: Event>(
    conn: &mut PgConnection,
    event: E,
    traceparent: Option<String>,
) -> Result<(), sqlx::Error> {
    let now = sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(&mut *conn).await?;
    let key = event.key();
    let payload = CloudEvent::new(event, now.to_jiff(), traceparent).encode();
    sqlx::query!(
        "insert into platform.outbox (topic, key, payload, created_at) values ($1, $2, $3, $4)",
        E::TOPIC,
        key,
        payload,
        now.to_jiff().to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether this session is the relay of its database now. The election is a session lock: it ends with the connection.
pub async fn try_lead(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_try_advisory_lock(hashtext('greencommerce.outbox')) as "leads!""#)
        .fetch_one(conn)
        .await
}

/// The oldest `limit` events that wait.
pub async fn pending(conn: &mut PgConnection, limit: i64) -> Result<Vec<Pending>, sqlx::Error> {
    sqlx::query_as!(Pending, "select seq, topic, key, payload from platform.outbox order by seq limit $1", limit)
        .fetch_all(conn)
        .await
}

/// Forgets events that were published.
pub async fn published(conn: &mut PgConnection, seqs: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from platform.outbox where seq = any($1)", seqs).execute(conn).await?;
    Ok(())
}
