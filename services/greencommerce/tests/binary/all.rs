//! The whole shop in one process, through its front door.

use std::{
    net::TcpListener,
    process::{Child, Stdio},
};

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Client, TestCache, TestDatabase, TestEvents, eventually, unique};

use crate::commands::{binary, run};

static NOTHING: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;

/// A shop, and the process it runs in.
struct Shop {
    process: Child,
    door: Client,
    auth_database: String,
    _kept: (TestDatabase, TestEvents, TestCache),
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Shop {
    async fn open() -> Self {
        let (database, events, cache) =
            (TestDatabase::new("empty", &NOTHING).await, TestEvents::new().await, TestCache::new().await);
        let url = database.url();
        let (server, _) = url.rsplit_once('/').unwrap();
        let prefix = format!("{}_", unique());
        let (door, ops) = (free_address(), free_address());
        let kafka = events.args();
        let process = binary()
            .arg("all")
            .env("POSTGRES_URL", server)
            .env("DATABASE_PREFIX", &prefix)
            .env("KAFKA_BOOTSTRAP_SERVERS", &kafka.kafka_bootstrap_servers)
            .env("KAFKA_PREFIX", &kafka.kafka_prefix)
            .env("REDIS_URL", cache.url())
            .env("HTTP_ADDR", &door)
            .env("OPS_ADDR", &ops)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the shop opens", || async { is_listening(&ops).await }).await;
        let probes = Client::new(&format!("http://{ops}"));
        eventually("the shop is ready", || async { probes.get("/readyz").send().await.status == 200 }).await;
        let auth_database = format!("{server}/{prefix}auth");
        let door = Client::new(&format!("http://{door}"));
        Self { process, door, auth_database, _kept: (database, events, cache) }
    }

    async fn log_in(&self, email: &str, password: &str) -> Client {
        let login = json!({"email": email, "password": password});
        let answer = self.door.post("/api/auth/login").json(&login).send().await.expect(200).json();
        self.door.bearer(answer["access_token"].as_str().unwrap())
    }
}

/// An address nobody listens on at the moment.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

async fn is_listening(address: &str) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

fn checkout() -> Value {
    json!({
        "payment": {"method": "wallet"},
        "shipping_address": {"name": "Ada Obi", "line1": "1 Marina", "city": "Lagos", "country": "NG"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_sells_from_registration_to_order_and_never_more_than_there_is() {
    let shop = Shop::open().await;
    let password = "nobody guesses this one";
    let mut admin = binary();
    admin.args(["admin", "create", "--email", "root@example.com"]).env("DATABASE_URL", &shop.auth_database);
    assert!(run(&mut admin, password).status.success());
    let staff = shop.log_in("root@example.com", password).await;
    let product = json!({
        "name": "Tote of old sails", "description": "Sewn in Lagos.",
        "variants": [{"sku": "TOTE", "price": {"amount": 1_999, "currency": "NGN"}, "stock": 5}],
    });
    let product = staff.post("/api/products").json(&product).send().await.expect(201).json();
    let variant = product["variants"][0]["id"].as_str().unwrap();
    let buyers = join_all((0..8).map(|number| {
        let shop = &shop;
        async move {
            let email = format!("buyer{number}@example.com");
            let account = json!({"email": email, "password": password, "name": "Ada"});
            shop.door.post("/api/auth/register").json(&account).send().await.expect_status(201);
            let buyer = shop.log_in(&email, password).await;
            let item = json!({"variant_id": variant, "quantity": 1});
            buyer.post("/api/cart/items").json(&item).send().await.expect_status(200);
            buyer
        }
    }))
    .await;
    let orders = buyers.iter().map(|buyer| buyer.post("/api/orders").idempotency_key("one").json(&checkout()).send());
    let answers = join_all(orders).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 5);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.expect_problem(409, "out_of_stock");
    }
    let stock = staff.get(&format!("/api/inventory/{variant}")).send().await.expect(200).json();
    assert_eq!(stock["available"], 0);
    let path = format!("/api/products/{}", product["slug"].as_str().unwrap());
    eventually("the catalogue shows it", || async {
        shop.door.get(&path).send().await.expect(200).json()["variants"][0]["available"] == 0
    })
    .await;
    shop.door.get("/api/openapi.json").send().await.expect_status(200);
    shop.door.get("/api/orders").send().await.expect_problem(401, "login_required");
}
