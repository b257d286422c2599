//! The public API, as a client of the shop sees it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Answer, unique};

pub(crate) const CART_ITEMS: &str = "/api/cart/items";

const TIMEOUT: Duration = Duration::from_secs(30);

/// The shop, as somebody or as nobody.
#[derive(Debug, Clone)]
pub struct Shop {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// A request that is being put together.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call {
    line: String,
    request: RequestBuilder,
}

/// Somebody who has registered and is logged in.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The shop as they see it.
    pub shop: Shop,
    /// Their account.
    pub id: String,
    /// Their login.
    pub email: String,
    /// Their password.
    pub password: String,
}

/// A product of one variant.
#[derive(Debug, Clone)]
pub struct Product {
    /// The product.
    pub id: String,
    /// Its name in addresses.
    pub slug: String,
    /// Its only variant.
    pub variant: String,
    /// The variant's stock keeping unit.
    pub sku: String,
    /// The entity tag it was created with.
    pub etag: String,
}

impl Shop {
    pub(crate) fn new(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { base: base.to_owned(), token: None, http })
    }

    /// Where it answers.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The access token of whoever this is.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The same shop, with another access token or none.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// The same shop over connections of its own.
    pub fn on_new_connections(&self) -> Result<Self> {
        Ok(Self { token: self.token.clone(), ..Self::new(&self.base)? })
    }

    /// The same shop as the owner of an account.
    pub async fn login(&self, email: &str, password: &str) -> Result<Self> {
        let credentials = json!({"email": email, "password": password});
        let tokens = self.post("/api/auth/login").json(&credentials).send().await?.expect(200)?.json()?;
        let token = tokens["access_token"].as_str().context("a login without an access token")?;
        Ok(self.with_token(Some(token)))
    }

    /// Registers somebody new and logs them in.
    pub async fn customer(&self, name: &str) -> Result<Customer> {
        let email = format!("{}@example.com", unique(name));
        let password = unique("plum orbit lantern");
        let account = json!({"email": email, "password": password, "name": name});
        let account = self.post("/api/auth/register").json(&account).send().await?.expect(201)?.json()?;
        let id = account["id"].as_str().context("an account without an id")?.to_owned();
        Ok(Customer { shop: self.login(&email, &password).await?, id, email, password })
    }

    /// Creates a product of one variant, as staff.
    pub async fn product(&self, name: &str, amount: i64, stock: i64) -> Result<Product> {
        let sku = unique("E2E").to_uppercase();
        let product = json!({
            "name": format!("{name} {sku}"),
            "description": "Made for a test, from recycled tests.",
            "category": "Tests",
            "variants": [{"sku": sku, "price": {"amount": amount, "currency": "NGN"}, "stock": stock}],
        });
        let answer = self.post("/api/products").json(&product).send().await?.expect(201)?;
        let (etag, created) = (answer.etag()?, answer.json()?);
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a product without an id or slug");
        Ok(Product {
            id: text(&created["id"])?,
            slug: text(&created["slug"])?,
            variant: text(&created["variants"][0]["id"])?,
            sku,
            etag,
        })
    }

    /// Stock of a variant, as staff: `{on_hand, reserved, available}`.
    pub async fn stock(&self, product: &Product) -> Result<Value> {
        self.get(&format!("/api/inventory/{}", product.variant)).send().await?.expect(200)?.json()
    }

    /// Puts a product into one's cart.
    pub async fn put_into_cart(&self, product: &Product, quantity: i64) -> Result<Value> {
        self.post(CART_ITEMS).json(&line(product, quantity)).send().await?.expect(200)?.json()
    }

    /// The checkout of one's cart, with an `Idempotency-Key`.
    pub fn checkout(&self, key: &str) -> Call {
        self.post("/api/orders").idempotency_key(key).json(&order())
    }

    /// `GET path`
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// `POST path`
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// `PATCH path`
    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    /// Any method.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let line = format!("{method} {path}");
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Call { line, request }
    }
}

impl Call {
    /// Sends `body` as JSON.
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    /// Sends `body` as it is, said to be of `content_type`.
    pub fn body(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        let Self { line, request } = self.header("content-type", content_type);
        Self { line, request: request.body(body) }
    }

    /// Sends a header field.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// Sends `Idempotency-Key`.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Sends `If-Match`.
    pub fn if_match(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    /// Sends the request and reads the answer to its end.
    pub async fn send(self) -> Result<Answer> {
        let Self { line, request } = self;
        let response = request.send().await.with_context(|| line.clone())?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.with_context(|| line.clone())?.to_vec();
        Ok(Answer { line, status, headers, body })
    }
}

/// Some units of a product, as a cart takes them.
pub(crate) fn line(product: &Product, quantity: i64) -> Value {
    json!({"variant_id": product.variant, "quantity": quantity})
}

/// How to pay for an order and where to send it.
pub(crate) fn order() -> Value {
    json!({
        "payment": {"method": "paystack"},
        "shipping_address": {"name": "Ada Obi", "line1": "1 Marina", "city": "Lagos", "country": "NG"},
    })
}
