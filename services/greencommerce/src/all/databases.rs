//! A database for each service on one server.

use kit::BuildError;
use sqlx::{Connection, PgConnection};

use crate::migrate::Owner;

/// PostgreSQL's code for a database that exists already (appendix A of its manual: `duplicate_database`).
const DUPLICATE_DATABASE: &str = "42P04";

/// The address of `owner`'s database on `server`.
pub(super) fn url(server: &str, owner: Owner) -> String {
    format!("{}/greencommerce_{}", server.trim_end_matches('/'), owner.name())
}

/// Makes the database of `owner`, unless it is there, and brings it to the schema of this release.
pub(super) async fn prepare(server: &str, owner: Owner) -> Result<(), BuildError> {
    let mut connection = PgConnection::connect(&format!("{}/postgres", server.trim_end_matches('/'))).await?;
    // The name is one of four that stand in this program.
    let statement = format!("create database greencommerce_{}", owner.name());
    match sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(DUPLICATE_DATABASE) => {}
        outcome => {
            outcome?;
        }
    }
    connection.close().await?;
    let args = db::DatabaseArgs { database_url: url(server, owner), database_max_connections: 1 };
    Ok(db::migrate(&args, owner.migrator()).await?)
}
