//! A shop for one test.

use kit::PlatformArgs;
use rpc::cart::v1::{GetCartRequest, cart_client::CartClient};
use serde_json::{Value, json};
use testkit::{Answer, Client, Issuer, Server, TestCache, TestDatabase, TestEvents};
use types::UserId;

/// The services that a cart needs, and what they keep.
pub(crate) struct Shop {
    pub(crate) issuer: Issuer,
    pub(crate) events: TestEvents,
    pub(crate) cache: TestCache,
    pub(crate) cart: Server,
    pub(crate) catalog: Server,
    _others: (Server, TestDatabase, TestDatabase),
}

/// Somebody who buys.
pub(crate) struct Customer {
    pub(crate) id: UserId,
    pub(crate) client: Client,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let (issuer, events, cache) = (Issuer::start().await, TestEvents::new().await, TestCache::new().await);
        let platform = || PlatformArgs { kafka: events.args(), store_currency: "NGN".parse().expect("a currency") };
        let stock = TestDatabase::new(inventory::NAME, &inventory::MIGRATOR).await;
        let args = inventory::Args { database: stock.args(), platform: platform() };
        let service = inventory::build(args, issuer.platform()).await.expect("the stock keeper can be built");
        let inventory = Server::start(service).await;
        let products = TestDatabase::new(catalog::NAME, &catalog::MIGRATOR).await;
        let args =
            catalog::Args { database: products.args(), platform: platform(), inventory_grpc_url: inventory.grpc_url() };
        let service = catalog::build(args, issuer.platform()).await.expect("the catalogue can be built");
        let catalog = Server::start(service).await;
        let args = cart::Args {
            platform: platform(),
            redis_url: cache.url().to_owned(),
            catalog_grpc_url: catalog.grpc_url(),
        };
        let service = cart::build(args, issuer.platform()).await.expect("the cart can be built");
        let cart = Server::start(service).await;
        Self { issuer, events, cache, cart, catalog, _others: (inventory, stock, products) }
    }

    /// A new customer.
    pub(crate) fn customer(&self) -> Customer {
        let id = UserId::new();
        Customer { id, client: self.cart.client().bearer(self.issuer.customer(id)) }
    }

    /// A member of staff, at the catalogue.
    pub(crate) fn merchant(&self) -> Client {
        self.catalog.client().bearer(self.issuer.staff())
    }

    /// A product with `variants` variants of one price; gives the product.
    pub(crate) async fn sell(&self, sku: &str, price: i64, variants: usize) -> Value {
        let variants: Vec<Value> = (0..variants)
            .map(|number| json!({"sku": format!("{sku}-{number}"), "price": {"amount": price, "currency": "NGN"}}))
            .collect();
        let product = json!({"name": format!("Product {sku}"), "description": "", "variants": variants});
        self.merchant().post("/api/products").json(&product).send().await.expect(201).json()
    }

    /// What checkout is told of the cart of `customer`: variants and units.
    pub(crate) async fn lines(&self, customer: UserId) -> Vec<(String, u32)> {
        let channel = kit::grpc::channel(&self.cart.grpc_url()).expect("the address of a server");
        let request = GetCartRequest { customer_id: customer.to_string() };
        let answer = CartClient::new(channel).get_cart(request).await.expect("the cart answers").into_inner();
        answer.lines.into_iter().map(|line| (line.variant_id, line.quantity)).collect()
    }
}

impl Customer {
    pub(crate) async fn adds(&self, variant: &str, quantity: i64) -> Answer {
        let item = json!({"variant_id": variant, "quantity": quantity});
        self.client.post("/api/cart/items").json(&item).send().await
    }
}

/// The id of a product's variant.
pub(crate) fn variant(product: &Value, number: usize) -> String {
    product["variants"][number]["id"].as_str().expect("a variant has an id").to_owned()
}
