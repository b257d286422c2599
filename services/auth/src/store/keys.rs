//! Keys that sign access tokens.

use sqlx::PgConnection;

use crate::domain::{NewKey, StoredKey};

/// Every key.
pub(crate) async fn all(conn: &mut PgConnection) -> Result<Vec<StoredKey>, sqlx::Error> {
    sqlx::query_as!(
        StoredKey,
        r#"select kid, private_key, public_key, extract(epoch from now() - created_at)::bigint as "age!"
           from signing_keys"#
    )
    .fetch_all(conn)
    .await
}

/// Excludes other processes from making keys until the end of the transaction.
pub(crate) async fn lock(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_advisory_xact_lock(hashtext('greencommerce.signing-keys'))::text as "void""#)
        .fetch_one(conn)
        .await
        .map(|_| ())
}

/// Stores a key.
pub(crate) async fn insert(conn: &mut PgConnection, key: &NewKey) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into signing_keys (kid, private_key, public_key) values ($1, $2, $3)",
        key.kid,
        key.private_key,
        key.public_key,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes every key but `kept`.
pub(crate) async fn delete_except(conn: &mut PgConnection, kept: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from signing_keys where kid <> all($1)", kept).execute(conn).await?;
    Ok(())
}
