//! A catalog service of a test's own.

use catalog::{Args, MIGRATOR, NAME};
use kit::PlatformArgs;
use rpc::catalog::v1::{GetVariantsRequest, Variant, catalog_client::CatalogClient};
use serde_json::{Value, json};
use testkit::{Client, Issuer, Server, TestDatabase, TestEvents, unique};
use tonic::Code;

/// A running catalog with everything it needs.
pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    pub(crate) events: TestEvents,
    pub(crate) issuer: Issuer,
    pub(crate) server: Server,
    inventory: Option<Inventory>,
}

/// The inventory service beside it.
struct Inventory {
    server: Server,
    _database: TestDatabase,
}

impl Shop {
    /// With the inventory service.
    pub(crate) async fn open() -> Self {
        let (events, issuer) = (TestEvents::new().await, Issuer::start().await);
        let database = TestDatabase::new(inventory::NAME, &inventory::MIGRATOR).await;
        let args = inventory::Args { database: database.args(), platform: platform(&events) };
        let server = Server::start(inventory::build(args, issuer.platform()).await.unwrap()).await;
        let url = server.grpc_url();
        Self::build(events, issuer, &url, Some(Inventory { server, _database: database })).await
    }

    /// Without the inventory service: nothing listens where it should be.
    pub(crate) async fn without_inventory() -> Self {
        let (events, issuer) = (TestEvents::new().await, Issuer::start().await);
        let listeners = Server::listeners().await;
        let url = format!("http://{}", listeners.grpc.local_addr().unwrap());
        drop(listeners);
        Self::build(events, issuer, &url, None).await
    }

    async fn build(events: TestEvents, issuer: Issuer, inventory_url: &str, inventory: Option<Inventory>) -> Self {
        let database = TestDatabase::new(NAME, &MIGRATOR).await;
        let args = Args {
            database: database.args(),
            platform: platform(&events),
            inventory_grpc_url: inventory_url.to_owned(),
        };
        let server = Server::start(catalog::build(args, issuer.platform()).await.unwrap()).await;
        Self { database, events, issuer, server, inventory }
    }

    /// A client with the token of a member of staff.
    pub(crate) fn staff(&self) -> Client {
        self.server.client().bearer(self.issuer.staff())
    }

    /// A client of the inventory service, as staff.
    pub(crate) fn inventory(&self) -> Client {
        let inventory = self.inventory.as_ref().expect("the shop was opened with inventory");
        inventory.server.client().bearer(self.issuer.staff())
    }

    /// A new product of that name, with one variant, and what else `more` says.
    pub(crate) async fn product(&self, name: &str, more: Value) -> Value {
        let mut body = json!({"name": name, "description": "", "variants": [variant()]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.staff().post("/api/products").json(&body).send().await.expect(201).json()
    }

    /// The names of the products in an answer of the service.
    pub(crate) async fn names(&self, path: &str) -> Vec<String> {
        let answer = self.server.client().get(path).send().await.expect(200).json();
        let items = answer.as_array().unwrap_or_else(|| answer["items"].as_array().unwrap());
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    /// What other services are told about these variants.
    pub(crate) async fn variants(&self, ids: Vec<String>) -> Result<Vec<Variant>, Code> {
        let mut calls = CatalogClient::new(kit::grpc::channel(&self.server.grpc_url()).unwrap());
        let answer =
            calls.get_variants(GetVariantsRequest { variant_ids: ids }).await.map_err(|status| status.code())?;
        Ok(answer.into_inner().variants)
    }

    pub(crate) async fn count_of_products(&self) -> i64 {
        sqlx::query_scalar!(r#"select count(*) as "count!" from products"#)
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }
}

/// A variant of a code that no other has.
pub(crate) fn variant() -> Value {
    json!({"sku": unique(), "price": naira(250_000)})
}

pub(crate) fn naira(amount: i64) -> Value {
    json!({"amount": amount, "currency": "NGN"})
}

fn platform(events: &TestEvents) -> PlatformArgs {
    PlatformArgs { kafka: events.args(), store_currency: "NGN".parse().unwrap() }
}
