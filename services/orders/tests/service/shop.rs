//! A shop for one test.

use kit::{PlatformArgs, Service};
use serde_json::{Value, json};
use testkit::{Call, Client, Issuer, Server, TestCache, TestDatabase, TestEvents, eventually};
use types::UserId;

/// The four services that a checkout needs, and what they keep.
pub(crate) struct Shop {
    pub(crate) issuer: Issuer,
    pub(crate) events: TestEvents,
    pub(crate) database: TestDatabase,
    pub(crate) orders: Server,
    pub(crate) cart: Server,
    pub(crate) catalog: Server,
    pub(crate) inventory: Server,
    _others: (TestDatabase, TestDatabase, TestCache),
}

/// Somebody who buys.
pub(crate) struct Customer {
    pub(crate) id: UserId,
    pub(crate) orders: Client,
    pub(crate) cart: Client,
}

impl Shop {
    /// A shop whose orders may be paid for half an hour.
    pub(crate) async fn open() -> Self {
        Self::open_with(1800).await
    }

    /// A shop whose orders may be paid for `payment_timeout` seconds.
    pub(crate) async fn open_with(payment_timeout: u32) -> Self {
        let (issuer, events, cache) = (Issuer::start().await, TestEvents::new().await, TestCache::new().await);
        let platform = || PlatformArgs { kafka: events.args(), store_currency: "NGN".parse().expect("a currency") };
        let stock = TestDatabase::new(inventory::NAME, &inventory::MIGRATOR).await;
        let args = inventory::Args { database: stock.args(), platform: platform() };
        let inventory = serve(inventory::build(args, issuer.platform()).await).await;
        let products = TestDatabase::new(catalog::NAME, &catalog::MIGRATOR).await;
        let args =
            catalog::Args { database: products.args(), platform: platform(), inventory_grpc_url: inventory.grpc_url() };
        let catalog = serve(catalog::build(args, issuer.platform()).await).await;
        let args = cart::Args {
            platform: platform(),
            redis_url: cache.url().to_owned(),
            catalog_grpc_url: catalog.grpc_url(),
        };
        let cart = serve(cart::build(args, issuer.platform()).await).await;
        let database = TestDatabase::new(orders::NAME, &orders::MIGRATOR).await;
        let args = orders::Args {
            database: database.args(),
            platform: platform(),
            cart_grpc_url: cart.grpc_url(),
            catalog_grpc_url: catalog.grpc_url(),
            inventory_grpc_url: inventory.grpc_url(),
            order_payment_timeout_seconds: payment_timeout,
        };
        let orders = serve(orders::build(args, issuer.platform()).await).await;
        let others = (stock, products, cache);
        Self { issuer, events, database, orders, cart, catalog, inventory, _others: others }
    }

    /// A new customer.
    pub(crate) fn customer(&self) -> Customer {
        let id = UserId::new();
        let token = self.issuer.customer(id);
        Customer { id, orders: self.orders.client().bearer(&token), cart: self.cart.client().bearer(&token) }
    }

    /// A member of staff, at the orders.
    pub(crate) fn staff(&self) -> Client {
        self.orders.client().bearer(self.issuer.staff())
    }

    /// A member of staff, at the catalogue.
    pub(crate) fn merchant(&self) -> Client {
        self.catalog.client().bearer(self.issuer.staff())
    }

    /// A product with one variant; gives the product and the variant's id.
    pub(crate) async fn sell(&self, sku: &str, price: i64, stock: i64) -> (Value, String) {
        let product = json!({
            "name": format!("Product {sku}"), "description": "Made of what others threw away.",
            "variants": [{"sku": sku, "price": {"amount": price, "currency": "NGN"}, "stock": stock}],
        });
        let product = self.merchant().post("/api/products").json(&product).send().await.expect(201).json();
        let variant = product["variants"][0]["id"].as_str().expect("a variant has an id").to_owned();
        (product, variant)
    }

    /// What the stock keeper says of a variant.
    pub(crate) async fn stock(&self, variant: &str) -> Value {
        let staff = self.inventory.client().bearer(self.issuer.staff());
        staff.get(&format!("/api/inventory/{variant}")).send().await.expect(200).json()
    }

    /// Waits until that many units of a variant can be ordered.
    pub(crate) async fn available(&self, variant: &str, units: i64) {
        eventually("the stock is let go", || async { self.stock(variant).await["available"] == units }).await;
    }
}

impl Customer {
    /// Puts units into the cart.
    pub(crate) async fn wants(&self, variant: &str, quantity: i64) {
        let item = json!({"variant_id": variant, "quantity": quantity});
        self.cart.post("/api/cart/items").json(&item).send().await.expect_status(200);
    }

    /// A checkout under `key`.
    pub(crate) fn checks_out(&self, key: &str) -> Call {
        self.orders.post("/api/orders").idempotency_key(key).json(&checkout())
    }

    /// What is in the cart.
    pub(crate) async fn items(&self) -> Vec<Value> {
        let cart = self.cart.get("/api/cart").send().await.expect(200).json();
        cart["items"].as_array().expect("a cart has items").clone()
    }
}

/// What a checkout sends.
pub(crate) fn checkout() -> Value {
    json!({
        "payment": {"method": "paystack"},
        "shipping_address": {"name": "Ada Obi", "line1": "1 Marina", "city": "Lagos", "country": "NG"},
    })
}

async fn serve(service: Result<Service, kit::BuildError>) -> Server {
    Server::start(service.expect("the service can be built")).await
}
