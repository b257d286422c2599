//! A database for each service on one server.

use kit::BuildError;
use sqlx::{Connection, PgConnection};

use crate::migrate::Owner;

/// PostgreSQL's code for a database that exists already (appendix A of its manual: `duplicate_database`).
const DUPLICATE_DATABASE: &str = "42P04";

/// What the names of databases may begin with: it becomes a part of SQL, where nothing else may get in.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins_well = text.bytes().next().is_none_or(|byte| !byte.is_ascii_digit());
    if text.len() <= 40 && begins_well && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("must be at most 40 small letters, digits and underscores".to_owned())
    }
}

/// The name of `owner`'s database.
pub(super) fn name(prefix: &str, owner: Owner) -> String {
    format!("{prefix}{}", owner.name())
}

/// The address of `database` on `server`.
pub(super) fn url(server: &str, database: &str) -> String {
    format!("{}/{database}", server.trim_end_matches('/'))
}

/// Makes the database of `owner`, unless it is there, and brings it to the schema of this release.
pub(super) async fn prepare(server: &str, prefix: &str, owner: Owner) -> Result<(), BuildError> {
    let name = name(prefix, owner);
    let mut connection = PgConnection::connect(&url(server, "postgres")).await?;
    let statement = format!("create database {name}");
    match sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(DUPLICATE_DATABASE) => {}
        outcome => {
            outcome?;
        }
    }
    connection.close().await?;
    let args = db::DatabaseArgs { database_url: url(server, &name), database_ca: None, database_max_connections: 1 };
    Ok(db::migrate(&args, owner.migrator()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_name_gets_into_the_statement() {
        assert_eq!(prefix("shop_1_").as_deref(), Ok("shop_1_"));
        for wrong in ["a;b", "a b", "A", "1a", "a\"", "ä"] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_service_has_a_database_of_its_own() {
        let name = name("greencommerce_", Owner::Orders);
        assert_eq!(url("postgres://me@host:5432/", &name), "postgres://me@host:5432/greencommerce_orders");
    }
}
