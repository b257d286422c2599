//! The kit on the real servers.

use std::borrow::Cow;

use events::{CloudEvent, UserDeleted, UserEvent};
use jiff::Timestamp;
use redis::AsyncCommands as _;
use sqlx::{
    AssertSqlSafe, Row as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};
use testkit::{Client, Issuer, Server, TestCache, TestDatabase, TestEvents, eventually, unique};
use types::UserId;

/// A schema of one table, leaked because services keep theirs in statics.
fn migrator(sql: &'static str) -> &'static Migrator {
    let description = Cow::Borrowed("things");
    let migration = Migration::new(1, description, MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false);
    Box::leak(Box::new(Migrator { migrations: Cow::Owned(vec![migration]), ..Migrator::DEFAULT }))
}

async fn tables(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'thing%'";
    let rows = sqlx::raw_sql(sql).fetch_all(database.pool()).await.expect("the catalogue can be read");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_with_both_schemas() {
    let service = format!("of_{}", unique());
    let things = migrator("CREATE TABLE things (id int)");
    let (one, other) = (TestDatabase::new(&service, things).await, TestDatabase::new(&service, things).await);
    sqlx::raw_sql("INSERT INTO things VALUES (1)").execute(one.pool()).await.unwrap();
    let rows = sqlx::raw_sql("SELECT id FROM things").fetch_all(other.pool()).await.unwrap();
    assert!(rows.is_empty());
    let outbox = sqlx::raw_sql("SELECT count(*) FROM platform.outbox").fetch_one(one.pool()).await.unwrap();
    assert_eq!(outbox.get::<i64, _>(0), 0);
    drop_template(&service).await;
}

#[tokio::test]
async fn many_tests_at_once_get_their_databases() {
    let service = format!("of_{}", unique());
    let things = migrator("CREATE TABLE things (id int)");
    let found = || async { tables(&TestDatabase::new(&service, things).await).await };
    let (one, two, three, four) = tokio::join!(found(), found(), found(), found());
    assert_eq!([one, two, three, four], [["things"], ["things"], ["things"], ["things"]]);
    drop_template(&service).await;
}

#[tokio::test]
async fn a_database_goes_when_its_test_has_passed() {
    let service = format!("of_{}", unique());
    let things = migrator("CREATE TABLE things (id int)");
    let kept = TestDatabase::new(&service, things).await;
    let url = {
        let passing = TestDatabase::new(&service, things).await;
        passing.url()
    };
    let name = url.rsplit('/').next().unwrap().to_owned();
    let sql = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(kept.pool()).await.unwrap();
    assert!(rows.is_empty(), "{name} is still there");
    drop_template(&service).await;
}

async fn drop_template(service: &str) {
    let any = TestDatabase::new("none", migrator("SELECT 1")).await;
    let sql = format!("DROP DATABASE IF EXISTS template_{service} WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(any.pool()).await.expect("the template goes");
}

#[tokio::test]
async fn an_event_is_read_back_from_its_topic_and_from_no_other_tests() {
    let (mine, other) = (TestEvents::new().await, TestEvents::new().await);
    let event = |user| CloudEvent::new(UserEvent::Deleted(UserDeleted { user_id: user }), Timestamp::UNIX_EPOCH, None);
    let (my_event, other_event) = (event(UserId::new()), event(UserId::new()));
    other.publish(&other_event).await;
    mine.publish(&my_event).await;
    assert_eq!(mine.subscribe::<UserEvent>().next::<UserEvent>().await, my_event);
    assert_eq!(other.subscribe::<UserEvent>().next::<UserEvent>().await, other_event);
}

#[tokio::test]
async fn each_test_has_an_empty_cache_of_its_own() {
    let (one, other) = (TestCache::new().await, TestCache::new().await);
    let () = one.connection().await.set("cart", "full").await.unwrap();
    let seen: Option<String> = other.connection().await.get("cart").await.unwrap();
    assert_eq!(seen, None);
    assert_ne!(one.url(), other.url());
}

#[tokio::test]
async fn a_service_is_reached_behind_real_listeners_and_drains() {
    let routes = axum::Router::new().route("/hello", axum::routing::get(async || "good morning"));
    let server = Server::start(kit::Service::new("greeter", routes)).await;
    let client = server.client();
    assert_eq!(client.get("/hello").send().await.expect(200).text(), "good morning");
    let url = server.url();
    server.stop().await;
    eventually("the port to close", || {
        let address = url.trim_start_matches("http://").to_owned();
        async move { tokio::net::TcpStream::connect(address).await.is_err() }
    })
    .await;
}

#[tokio::test]
async fn the_issuers_public_key_is_served_as_the_auth_service_serves_its_own() {
    let issuer = Issuer::start().await;
    let set = Client::new(&issuer.args().auth_http_url).get("/.well-known/jwks.json").send().await.expect(200).json();
    assert_eq!(set["keys"][0]["kty"], "OKP");
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
}
