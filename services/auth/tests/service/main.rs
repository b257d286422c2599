//! The auth service over its real database and real Kafka, through its real listeners.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

mod accounts;
mod administration;
mod events;
mod login;
mod refresh;
mod tokens;

use kit::{
    Clock, Platform, PlatformArgs,
    auth::{Verifier, VerifierArgs},
    kafka::KafkaArgs,
};
use serde_json::{Value, json};
use testkit::{Answer, Client, Server, TestDatabase};

const PASSWORD: &str = "tiffin ocean ladder";

/// A running auth service with a database of its own.
struct Auth {
    server: Server,
    database: TestDatabase,
}

impl Auth {
    /// Without Kafka: nothing but the outbox misses it.
    async fn start() -> Self {
        let kafka = KafkaArgs { kafka_bootstrap_servers: "127.0.0.1:9".to_owned(), kafka_prefix: String::new() };
        Self::start_with(kafka).await
    }

    async fn start_with(kafka: KafkaArgs) -> Self {
        let database = TestDatabase::new(auth::NAME, &auth::MIGRATOR).await;
        let server = Server::start(service(&database, kafka).await).await;
        Self { server, database }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// Registers somebody whose address is new, and logs in.
    async fn somebody(&self) -> Somebody {
        let email = format!("{}@example.com", testkit::unique());
        let account = register(&self.client(), &email).await.expect(201).json();
        let tokens = log_in(&self.client(), &email, PASSWORD).await.expect(200).json();
        let id = account["id"].as_str().unwrap().to_owned();
        Somebody { id, email, client: self.client().bearer(text(&tokens, "access_token")), tokens }
    }

    /// Somebody who is an administrator.
    async fn admin(&self) -> Client {
        let email = format!("{}@example.com", testkit::unique());
        auth::create_admin(&self.database.args(), &email, None, PASSWORD).await.unwrap();
        let tokens = log_in(&self.client(), &email, PASSWORD).await.expect(200).json();
        self.client().bearer(text(&tokens, "access_token"))
    }
}

/// A customer who is logged in.
struct Somebody {
    id: String,
    email: String,
    client: Client,
    tokens: Value,
}

impl Somebody {
    fn refresh_token(&self) -> String {
        text(&self.tokens, "refresh_token")
    }

    fn access_token(&self) -> String {
        text(&self.tokens, "access_token")
    }
}

async fn service(database: &TestDatabase, kafka: KafkaArgs) -> kit::Service {
    let args = auth::Args {
        database: database.args(),
        platform: PlatformArgs { kafka, store_currency: "NGN".parse().unwrap() },
    };
    let verifier = Verifier::from_args(&verifier_args("http://127.0.0.1:9")).unwrap();
    auth::build(args, Platform { clock: Clock::system(), verifier }).await.unwrap()
}

fn verifier_args(auth_http_url: &str) -> VerifierArgs {
    let name = || "greencommerce".to_owned();
    VerifierArgs { auth_http_url: auth_http_url.to_owned(), jwt_issuer: name(), jwt_audience: name() }
}

async fn register(client: &Client, email: &str) -> Answer {
    let body = json!({ "email": email, "password": PASSWORD, "name": "Ada Obi" });
    client.post("/api/auth/register").json(&body).send().await
}

async fn log_in(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/api/auth/login").json(&json!({ "email": email, "password": password })).send().await
}

async fn refresh(client: &Client, token: &str) -> Answer {
    client.post("/api/auth/refresh").json(&json!({ "refresh_token": token })).send().await
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}
