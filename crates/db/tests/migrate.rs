//! What an earlier release makes of a database that a later one has migrated.

use std::borrow::Cow;

use db::MigrateError;
use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};
use testkit::{TestDatabase, eventually};

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
async fn a_migration_that_is_cut_off_half_way_leaves_nothing_and_another_run_does_all_of_it() {
    let test = TestDatabase::new("cut_off", &NONE).await;
    let slow = "CREATE TABLE weights (grams integer); SELECT pg_sleep(2) FROM goods WHERE name = 'slow'";
    let later = release(vec![first(), migration(2, "weights", slow)]);
    db::migrate(&test.args(), &release(vec![first()])).await.unwrap();
    sqlx::raw_sql("INSERT INTO goods (name) VALUES ('slow')").execute(test.pool()).await.unwrap();

    // When its process ends in the middle of it
    let args = test.args();
    let ended = tokio::select! {
        ended = db::migrate(&args, &later) => Some(ended),
        () = eventually("a migration under way", || sleeps(&test)) => None,
    };
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!(tables(&test).await, ["goods"]);

    // Then another waits for the server, which has not noticed yet, and finds nothing half done.
    sqlx::raw_sql("DELETE FROM goods").execute(test.pool()).await.unwrap();
    db::migrate(&test.args(), &later).await.unwrap();
    assert_eq!(tables(&test).await, ["goods", "weights"]);
}

#[tokio::test]
async fn of_runs_that_begin_at_once_each_ends_well_and_one_does_the_work() {
    let test = TestDatabase::new("at_once", &NONE).await;
    let all = release(vec![first(), migration(2, "weights", "CREATE TABLE weights (grams integer)")]);
    let args = test.args();
    let runs = (0..8).map(|_| db::migrate(&args, &all));
    let ends: Result<Vec<()>, MigrateError> = futures::future::join_all(runs).await.into_iter().collect();
    ends.unwrap();
    assert_eq!(tables(&test).await, ["goods", "weights"]);
}

async fn sleeps(test: &TestDatabase) -> bool {
    let sleeping =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    sqlx::query_scalar::<_, i64>(sleeping).fetch_one(test.pool()).await.expect("the database answers") > 0
}

/// What migrations of a service have made.
async fn tables(test: &TestDatabase) -> Vec<String> {
    let tables =
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_%' ORDER BY 1";
    sqlx::query_scalar(tables).fetch_all(test.pool()).await.expect("the database answers")
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
