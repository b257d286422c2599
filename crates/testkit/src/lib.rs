//! What the service tests share: a database, topics and a cache of their own on real servers, a service in this process
//! behind real listeners, tokens, and an HTTP client.
//!
//! ```no_run
//! # use testkit::{Client, Issuer, Server, TestDatabase, TestEvents};
//! # static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;
//! # fn build(_: db::DatabaseArgs, _: kit::kafka::KafkaArgs, _: kit::Platform) -> kit::Service { unimplemented!() }
//! # async fn test() {
//! let database = TestDatabase::new("catalog", &MIGRATOR).await;
//! let events = TestEvents::new().await;
//! let issuer = Issuer::start().await;
//! let server = Server::start(build(database.args(), events.args(), issuer.platform())).await;
//! let client = server.client();
//! client.get("/api/products").send().await.expect_status(200);
//! # }
//! ```
//!
//! Nothing here returns errors: a test without its servers has failed, and says why.

mod backing;
mod cache;
mod client;
mod database;
mod events;
mod issuer;
mod server;

pub use backing::unique;
pub use cache::TestCache;
pub use client::{Answer, Call, Client};
pub use database::TestDatabase;
pub use events::{Subscription, TestEvents};
pub use issuer::Issuer;
pub use server::Server;
pub use waitkit::{DEADLINE, eventually, wait_until};
