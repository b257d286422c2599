//! What an earlier release makes of a database that a later one has migrated.

use std::borrow::Cow;

use db::MigrateError;
use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};
use testkit::TestDatabase;

static NONE: Migrator = Migrator::DEFAULT;

fn migration(version: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
}

fn release(migrations: Vec<Migration>) -> Migrator {
    Migrator::with_migrations(migrations)
}

fn first() -> Migration {
    migration(1, "goods", "CREATE TABLE goods (name text, made_of text)")
}

#[tokio::test]
async fn an_earlier_release_works_with_what_a_later_one_added() {
    let test = TestDatabase::new("downgrade_expand", &NONE).await;
    let later = release(vec![first(), migration(2, "weights", "ALTER TABLE goods ADD weight integer")]);
    db::migrate(&test.args(), &later).await.unwrap();

    // When the release before it comes back
    db::migrate(&test.args(), &release(vec![first()])).await.unwrap();

    // Then the column is still there, and the later release finds all as it left it.
    db::migrate(&test.args(), &later).await.unwrap();
    let columns: i64 = sqlx::query_scalar("SELECT count(*) FROM information_schema.columns WHERE table_name = 'goods'")
        .fetch_one(test.pool())
        .await
        .unwrap();
    assert_eq!(columns, 3);
}

#[tokio::test]
async fn an_earlier_release_refuses_a_database_that_lost_what_it_needs() {
    let test = TestDatabase::new("downgrade_contract", &NONE).await;
    let later = release(vec![first(), migration(2, "contract drop made of", "ALTER TABLE goods DROP made_of")]);
    db::migrate(&test.args(), &later).await.unwrap();

    let refused = db::migrate(&test.args(), &release(vec![first()])).await.unwrap_err();

    assert!(matches!(refused, MigrateError::TooNew(_)), "{refused:?}");
    assert!(refused.to_string().contains("0002 contract drop made of"), "{refused}");
}
