//! What no client should send: refused with the right status and a problem document, and nothing is changed.

use std::iter::repeat_n;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::{Answer, Cluster, Customer, Product, Shop, unique};
use serde_json::{Value, json};

/// Who asks.
#[derive(Debug, Clone, Copy)]
enum Who {
    Guest,
    Customer,
    /// Another customer than the owner of the order.
    Stranger,
    Staff,
    /// Tokens that are not good, each for a reason of its own.
    Forged(Forgery),
}

#[derive(Debug, Clone, Copy)]
enum Forgery {
    /// Not a token at all.
    Junk,
    /// A good one, signed by nobody.
    Unsigned,
    /// A good one whose time is prolonged.
    Prolonged,
    /// A good one with a role more.
    Promoted,
    /// A good one whose signature is another's.
    Mixed,
}

/// A body.
#[derive(Debug, Clone)]
enum Body {
    None,
    Json(Value),
    Text(String),
    /// Of another content type than JSON.
    Form(&'static str),
    Bytes(Vec<u8>),
}

/// A row of the table: a request and what has to come back.
struct Row {
    name: &'static str,
    who: Who,
    request: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Body,
    status: u16,
    /// The problem's code.
    code: &'static str,
}

/// What is there before, and must be there after.
struct Scene {
    cluster: Cluster,
    staff: Shop,
    owner: Customer,
    stranger: Customer,
    product: Product,
    order: String,
}

#[tokio::test]
async fn bad_input_is_refused_with_a_problem_and_changes_nothing() -> Result<()> {
    let cluster = Cluster::connect().await?;
    // Given a product, and a customer with a cart and an order
    let scene = Scene::set(cluster).await?;
    let before = scene.photograph().await?;

    // When somebody sends what they should not
    let mut wrong = Vec::new();
    for row in rows() {
        let name = row.name;
        // Then the answer is the right refusal, never a failure of ours,
        if let Err(error) = scene.send(&row).await.and_then(|answer| judge(&row, answer)) {
            wrong.push(format!("{name}: {error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{} requests were answered wrongly:\n{}", wrong.len(), wrong.join("\n"));

    // and everything is as it was.
    assert_eq!(scene.photograph().await?, before);
    Ok(())
}

#[tokio::test]
async fn an_idempotency_key_is_good_for_one_request_only() -> Result<()> {
    let cluster = Cluster::connect().await?;
    // Given a checkout that was made with a key
    let product = cluster.staff().await?.product("Bag of banners", 5_000, 5).await?;
    let customer = cluster.shop()?.customer("Femi").await?;
    customer.shop.put_into_cart(&product, 1).await?;
    let key = unique("checkout");
    customer.shop.checkout(&key).send().await?.expect(201)?;

    // When the key is used for another order, then that is refused.
    let other = json!({"payment": {"method": "wallet"}, "shipping_address": {"name": "F", "line1": "2 Marina", "city": "Lagos", "country": "NG"}});
    let refused = customer.shop.post("/api/orders").idempotency_key(&key).json(&other).send().await?;
    refused.expect_problem(422, "idempotency_key_reused")?;
    Ok(())
}

fn row(name: &'static str, who: Who, request: &'static str, body: Body, status: u16, code: &'static str) -> Row {
    Row { name, who, request, headers: Vec::new(), body, status, code }
}

impl Row {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

fn rows() -> Vec<Row> {
    [unreadable(), out_of_range(), accounts(), products(), orders(), strangers(), tokens()]
        .into_iter()
        .flatten()
        .collect()
}

/// Bodies that cannot be read.
fn unreadable() -> Vec<Row> {
    use Who::Customer;
    let item = "POST /api/cart/items";
    let mega = |bytes: usize| repeat_n('a', bytes).collect::<String>();
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let text = |text: &str| Body::Text(text.to_owned());
    vec![
        row("no body", Customer, item, text(""), 400, "malformed_json"),
        row("half a document", Customer, item, text("{\"variant_id\": "), 400, "malformed_json"),
        row("two documents", Customer, item, text("{} {}"), 400, "malformed_json"),
        row("a document nested too deeply", Customer, item, Body::Text(deep), 400, ""),
        row("invalid UTF-8", Customer, item, Body::Bytes(b"{\"variant_id\": \"\xff\xfe\"}".to_vec()), 400, ""),
        row("a list where an object belongs", Customer, item, Body::Json(json!([])), 400, "invalid_body"),
        row(
            "an unknown field",
            Customer,
            item,
            Body::Json(json!({"variant_id": "@variant", "quantity": 1, "price": 1})),
            400,
            "invalid_body",
        ),
        row("a missing field", Customer, item, Body::Json(json!({"quantity": 1})), 400, "invalid_body"),
        row(
            "text where a number belongs",
            Customer,
            item,
            Body::Json(json!({"variant_id": "@variant", "quantity": "1"})),
            400,
            "invalid_body",
        ),
        row(
            "a number where text belongs",
            Customer,
            item,
            Body::Json(json!({"variant_id": 7, "quantity": 1})),
            400,
            "invalid_body",
        ),
        row(
            "half a unit",
            Customer,
            item,
            Body::Json(json!({"variant_id": "@variant", "quantity": 0.5})),
            400,
            "invalid_body",
        ),
        row(
            "an id that is none",
            Customer,
            item,
            Body::Json(json!({"variant_id": "../etc", "quantity": 1})),
            400,
            "invalid_body",
        ),
        row("a form", Customer, item, Body::Form("variant_id=1&quantity=1"), 415, "unsupported_media_type"),
        row("two megabytes", Customer, item, Body::Json(json!({"variant_id": mega(2 << 20), "quantity": 1})), 413, ""),
    ]
}

/// Numbers that do not go.
fn out_of_range() -> Vec<Row> {
    use Who::{Customer, Guest};
    let item = "POST /api/cart/items";
    let units = |quantity: Value| Body::Json(json!({"variant_id": "@variant", "quantity": quantity}));
    vec![
        row("no units", Customer, item, units(json!(0)), 422, "validation_failed"),
        row("negative units", Customer, item, units(json!(-1)), 422, "validation_failed"),
        row("more units than a line may have", Customer, item, units(json!(10_001)), 422, "validation_failed"),
        row("units beyond 32 bits", Customer, item, units(json!(4_294_967_297_i64)), 422, "validation_failed"),
        row("units beyond 64 bits", Customer, item, units(json!(1e30)), 400, "invalid_body"),
        row(
            "a variant that is not there",
            Customer,
            item,
            Body::Json(json!({"variant_id": "00000000-0000-7000-8000-000000000000", "quantity": 1})),
            422,
            "validation_failed",
        ),
        row(
            "a line that is not there",
            Customer,
            "PATCH /api/cart/items/00000000-0000-7000-8000-000000000000",
            Body::Json(json!({"quantity": 1})),
            404,
            "not_found",
        ),
        row("a page of nothing", Guest, "GET /api/products?limit=0", Body::None, 400, "invalid_query"),
        row("a page of everything", Guest, "GET /api/products?limit=100000", Body::None, 400, "invalid_query"),
        row("a page of words", Guest, "GET /api/products?limit=many", Body::None, 400, "invalid_query"),
        row(
            "a cursor from elsewhere",
            Guest,
            "GET /api/products?cursor=bm90LW91cnM",
            Body::None,
            400,
            "invalid_cursor",
        ),
        row("an unknown parameter", Guest, "GET /api/products?colour=green", Body::None, 400, "invalid_query"),
        row("a search for nothing", Guest, "GET /api/search?q=", Body::None, 422, "validation_failed"),
        row("a search with a zero in it", Guest, "GET /api/search?q=%00", Body::None, 422, "validation_failed"),
        row("a search without a question", Guest, "GET /api/search", Body::None, 400, "invalid_query"),
        row("a product that is not there", Guest, "GET /api/products/no-such-product", Body::None, 404, "not_found"),
        row("a product with a name that cannot be", Guest, "GET /api/products/%00%ff", Body::None, 404, "not_found"),
        row("an address that is not there", Guest, "GET /api/nothing", Body::None, 404, "not_found"),
        row("a method that is not there", Guest, "DELETE /api/search", Body::None, 405, "method_not_allowed"),
    ]
}

/// Accounts.
fn accounts() -> Vec<Row> {
    use Who::Guest;
    let register = "POST /api/auth/register";
    let account = |email: &str, password: &str, name: &str| {
        Body::Json(json!({"email": email, "password": password, "name": name}))
    };
    let long: String = repeat_n('x', 300).collect();
    vec![
        row(
            "an address without an @",
            Guest,
            register,
            account("nobody", "plum orbit lantern", "N"),
            422,
            "validation_failed",
        ),
        row("a short password", Guest, register, account("n@example.com", "short", "N"), 422, "validation_failed"),
        row("a common password", Guest, register, account("n@example.com", "password1", "N"), 422, "validation_failed"),
        row("an endless password", Guest, register, account("n@example.com", &long, "N"), 422, "validation_failed"),
        row(
            "an endless name",
            Guest,
            register,
            account("n@example.com", "plum orbit lantern", &long),
            422,
            "validation_failed",
        ),
        row(
            "a name with a zero in it",
            Guest,
            register,
            account("n@example.com", "plum orbit lantern", "a\0b"),
            422,
            "validation_failed",
        ),
        row(
            "a role that one gives oneself",
            Guest,
            register,
            Body::Json(
                json!({"email": "n@example.com", "password": "plum orbit lantern", "name": "N", "roles": ["admin"]}),
            ),
            400,
            "invalid_body",
        ),
        row(
            "an address that is taken",
            Guest,
            register,
            account("@owner", "plum orbit lantern", "N"),
            409,
            "email_taken",
        ),
        row(
            "a wrong password",
            Guest,
            "POST /api/auth/login",
            Body::Json(json!({"email": "@owner", "password": "wrong wrong wrong"})),
            401,
            "invalid_credentials",
        ),
        row(
            "nobody's password",
            Guest,
            "POST /api/auth/login",
            Body::Json(json!({"email": "nobody@example.com", "password": "wrong wrong wrong"})),
            401,
            "invalid_credentials",
        ),
        row(
            "a made-up refresh token",
            Guest,
            "POST /api/auth/refresh",
            Body::Json(json!({"refresh_token": "made up"})),
            401,
            "invalid_refresh_token",
        ),
    ]
}

/// Products and stock, by staff.
fn products() -> Vec<Row> {
    use Who::{Customer, Guest, Staff};
    let create = "POST /api/products";
    let product = |price: Value, stock: Value| json!({"name": "Never made", "description": "", "variants": [{"sku": "NEVER-MADE", "price": price, "stock": stock}]});
    let naira = |amount: Value| json!({"amount": amount, "currency": "NGN"});
    let bad = |price: Value, stock: Value| Body::Json(product(price, stock));
    let fine = || bad(naira(json!(1)), json!(1));
    let change = || Body::Json(json!({"name": "Another name"}));
    let adjust = "POST /api/inventory/@variant/adjustments";
    let delta = |delta: Value, reason: &str| Body::Json(json!({"delta": delta, "reason": reason}));
    vec![
        row("a product by a guest", Guest, create, fine(), 401, "login_required"),
        row("a product by a customer", Customer, create, fine(), 403, "forbidden"),
        row("a negative price", Staff, create, bad(naira(json!(-1)), json!(1)), 422, "validation_failed"),
        row("a price beyond reason", Staff, create, bad(naira(json!(i64::MAX)), json!(1)), 422, "validation_failed"),
        row("a price beyond 64 bits", Staff, create, bad(naira(json!(u64::MAX)), json!(1)), 400, "invalid_body"),
        row("a price with a fraction", Staff, create, bad(naira(json!(19.99)), json!(1)), 400, "invalid_body"),
        row(
            "a price in another currency",
            Staff,
            create,
            bad(json!({"amount": 1, "currency": "EUR"}), json!(1)),
            422,
            "validation_failed",
        ),
        row(
            "a price in a currency that is none",
            Staff,
            create,
            bad(json!({"amount": 1, "currency": "ZZZ"}), json!(1)),
            400,
            "invalid_body",
        ),
        row("a negative stock", Staff, create, bad(naira(json!(1)), json!(-1)), 422, "validation_failed"),
        row("a stock beyond 64 bits", Staff, create, bad(naira(json!(1)), json!(u64::MAX)), 400, "invalid_body"),
        row(
            "a product without variants",
            Staff,
            create,
            Body::Json(json!({"name": "N", "description": "", "variants": []})),
            422,
            "validation_failed",
        ),
        row(
            "a sku that is taken",
            Staff,
            create,
            Body::Json(
                json!({"name": "N", "description": "", "variants": [{"sku": "@sku", "price": naira(json!(1))}]}),
            ),
            409,
            "sku_taken",
        ),
        row(
            "more than all recycled",
            Staff,
            create,
            Body::Json(
                json!({"name": "N", "description": "", "recycled_percent": 101, "variants": [{"sku": "NEVER-MADE", "price": naira(json!(1))}]}),
            ),
            422,
            "validation_failed",
        ),
        row(
            "a change without a version",
            Staff,
            "PATCH /api/products/@product",
            change(),
            428,
            "precondition_required",
        ),
        row("a change of an old version", Staff, "PATCH /api/products/@product", change(), 412, "stale")
            .with("if-match", "\"0\""),
        row("a change by a customer", Customer, "PATCH /api/products/@product", change(), 403, "forbidden")
            .with("if-match", "*"),
        row("a change of an id that is none", Staff, "PATCH /api/products/17", change(), 404, "not_found")
            .with("if-match", "*"),
        row("stock to a customer's eyes", Customer, "GET /api/inventory/@variant", Body::None, 403, "forbidden"),
        row("stock without a version", Staff, adjust, delta(json!(1), "found"), 428, "precondition_required"),
        row("stock below what is reserved", Staff, adjust, delta(json!(-5), "lost"), 409, "below_reserved")
            .with("if-match", "*"),
        row("stock beyond reason", Staff, adjust, delta(json!(i64::MAX), "found"), 422, "validation_failed")
            .with("if-match", "*"),
        row("stock beyond 64 bits", Staff, adjust, delta(json!(u64::MAX), "found"), 400, "invalid_body")
            .with("if-match", "*"),
        row("stock without a reason", Staff, adjust, delta(json!(1), ""), 422, "validation_failed")
            .with("if-match", "*"),
    ]
}

/// Checkouts.
fn orders() -> Vec<Row> {
    use Who::{Customer, Guest, Stranger};
    let place = "POST /api/orders";
    let order = |method: &str, country: &str| {
        Body::Json(
            json!({"payment": {"method": method}, "shipping_address": {"name": "A", "line1": "1 Marina", "city": "Lagos", "country": country}}),
        )
    };
    let long: String = repeat_n('k', 300).collect();
    vec![
        row("an order by a guest", Guest, place, order("wallet", "NG"), 401, "login_required")
            .with("idempotency-key", "guest"),
        row("an order without a key", Customer, place, order("wallet", "NG"), 400, "idempotency_key_required"),
        row("an order with an endless key", Customer, place, order("wallet", "NG"), 400, "invalid_idempotency_key")
            .with("idempotency-key", &long),
        row("an order of nothing", Stranger, place, order("wallet", "NG"), 409, "cart_empty")
            .with("idempotency-key", "nothing"),
        row("an order paid in shells", Customer, place, order("shells", "NG"), 400, "invalid_body")
            .with("idempotency-key", "shells"),
        row("an order to a country that is none", Customer, place, order("wallet", "Nigeria"), 400, "invalid_body")
            .with("idempotency-key", "country"),
        row(
            "an order at one's own price",
            Customer,
            place,
            Body::Json(json!({"payment": {"method": "wallet"}, "total": 1})),
            400,
            "invalid_body",
        )
        .with("idempotency-key", "price"),
        row(
            "a cancellation without a version",
            Customer,
            "POST /api/orders/@order/cancel",
            Body::None,
            428,
            "precondition_required",
        ),
        row("a cancellation of an old version", Customer, "POST /api/orders/@order/cancel", Body::None, 412, "stale")
            .with("if-match", "\"0\""),
        row(
            "an order that is not there",
            Customer,
            "GET /api/orders/00000000-0000-7000-8000-000000000000",
            Body::None,
            404,
            "not_found",
        ),
        row("an order with an id that is none", Customer, "GET /api/orders/1%20or%201=1", Body::None, 404, "not_found"),
    ]
}

/// What belongs to others.
fn strangers() -> Vec<Row> {
    use Who::{Customer, Guest, Stranger};
    vec![
        row("another customer's order", Stranger, "GET /api/orders/@order", Body::None, 404, "not_found"),
        row(
            "another customer's cancellation",
            Stranger,
            "POST /api/orders/@order/cancel",
            Body::None,
            404,
            "not_found",
        )
        .with("if-match", "*"),
        row("everybody's orders", Customer, "GET /api/orders?all=true", Body::None, 403, "forbidden"),
        row("a guest's orders", Guest, "GET /api/orders", Body::None, 401, "login_required"),
        row("a guest's cart", Guest, "GET /api/cart", Body::None, 401, "login_required"),
        row("a user named in a header", Guest, "GET /api/cart", Body::None, 401, "login_required")
            .with("x-user-id", "@owner-id"),
        row("a role named in a header", Customer, "GET /api/inventory/@variant", Body::None, 403, "forbidden")
            .with("x-user-roles", "admin"),
    ]
}

/// Tokens that are not good.
fn tokens() -> Vec<Row> {
    let forged = [
        ("a token of junk", Forgery::Junk),
        ("a token signed by nobody", Forgery::Unsigned),
        ("a token prolonged", Forgery::Prolonged),
        ("a token promoted", Forgery::Promoted),
        ("a token with another's signature", Forgery::Mixed),
    ];
    let cart = forged
        .map(|(name, forgery)| row(name, Who::Forged(forgery), "GET /api/cart", Body::None, 401, "invalid_token"));
    // A bad token is refused even where none is needed: its owner should learn of it.
    let list = forged
        .map(|(name, forgery)| row(name, Who::Forged(forgery), "GET /api/products", Body::None, 401, "invalid_token"));
    cart.into_iter().chain(list).collect()
}

fn judge(row: &Row, answer: Answer) -> Result<()> {
    let problem = answer.expect(row.status)?.problem()?;
    ensure!(
        row.code.is_empty() || problem["code"] == row.code,
        "{} instead of {}: {}",
        problem["code"],
        row.code,
        problem["detail"]
    );
    if row.code == "validation_failed" {
        ensure!(problem["errors"][0]["field"].is_string(), "no field is named: {problem}");
    }
    let text = problem.to_string().to_lowercase();
    for word in ["sqlx", "postgres", "redis", "panicked", ".rs:", "http://"] {
        ensure!(!text.contains(word), "the inside of the shop shows: {problem}");
    }
    Ok(())
}

impl Scene {
    async fn set(cluster: Cluster) -> Result<Self> {
        let staff = cluster.staff().await?;
        let product = staff.product("Clock of a bicycle", 900_000, 5).await?;
        let (owner, stranger) = (cluster.shop()?.customer("Gozie").await?, cluster.shop()?.customer("Halima").await?);
        owner.shop.put_into_cart(&product, 1).await?;
        let order = owner.shop.checkout(&unique("checkout")).send().await?.expect(201)?.json()?;
        let order = order["id"].as_str().context("an order without an id")?.to_owned();
        let store = cluster.store().await?;
        e2e::wait_until(store.space(), "an empty cart", std::time::Duration::from_secs(30), async || {
            let cart = owner.shop.get("/api/cart").send().await?.expect(200)?.json()?;
            Ok(e2e::Seen::when(cart["items"] == json!([]), cart.to_string()))
        })
        .await?;
        owner.shop.put_into_cart(&product, 2).await?;
        Ok(Self { cluster, staff, owner, stranger, product, order })
    }

    /// Everything that a request could have changed.
    async fn photograph(&self) -> Result<Vec<(String, Option<String>)>> {
        let shots = [
            (&self.staff, format!("/api/products/{}", self.product.id)),
            (&self.staff, format!("/api/inventory/{}", self.product.variant)),
            (&self.staff, "/api/products?limit=1".to_owned()),
            (&self.staff, "/api/search?q=NEVER-MADE".to_owned()),
            (&self.owner.shop, "/api/cart".to_owned()),
            (&self.owner.shop, "/api/orders".to_owned()),
            (&self.owner.shop, format!("/api/orders/{}", self.order)),
            (&self.stranger.shop, "/api/cart".to_owned()),
            (&self.stranger.shop, "/api/orders".to_owned()),
        ];
        let mut album = Vec::new();
        for (shop, path) in shots {
            let answer = shop.get(&path).send().await?.expect(200)?;
            // Other tests run beside this one and make products, so of lists of the whole shop only our part counts.
            let ours = !path.starts_with("/api/products?");
            let body = if ours { answer.text() } else { answer.text().contains("NEVER-MADE").to_string() };
            album.push((format!("{path}: {body}"), answer.header("etag").map(str::to_owned)));
        }
        Ok(album)
    }

    async fn send(&self, row: &Row) -> Result<Answer> {
        let (method, path) = row.request.split_once(' ').context("a request is a method and a path")?;
        let shop = self.shop(row.who)?.on_new_connections()?;
        let mut call = shop.call(method.parse()?, &self.fill(path));
        for (name, value) in &row.headers {
            call = call.header(name, &self.fill(value));
        }
        let call = match &row.body {
            Body::None => call,
            Body::Json(value) => call.body("application/json", self.fill(&value.to_string())),
            Body::Text(text) => call.body("application/json", text.clone()),
            Body::Form(text) => call.body("application/x-www-form-urlencoded", *text),
            Body::Bytes(bytes) => call.body("application/json", bytes.clone()),
        };
        call.send().await
    }

    /// The text with what exists only now: ids, the sku, the owner's address.
    fn fill(&self, text: &str) -> String {
        text.replace("@variant", &self.product.variant)
            .replace("@product", &self.product.id)
            .replace("@order", &self.order)
            .replace("@sku", &self.product.sku)
            .replace("@owner-id", &self.owner.id)
            .replace("@owner", &self.owner.email)
    }

    fn shop(&self, who: Who) -> Result<Shop> {
        Ok(match who {
            Who::Guest => self.cluster.shop()?,
            Who::Customer => self.owner.shop.clone(),
            Who::Stranger => self.stranger.shop.clone(),
            Who::Staff => self.staff.clone(),
            Who::Forged(forgery) => {
                let tokens = [&self.owner, &self.stranger].map(|customer| customer.shop.token().unwrap_or_default());
                self.cluster.shop()?.with_token(Some(&forge(forgery, tokens)?))
            }
        })
    }
}

/// A token that looks good.
fn forge(forgery: Forgery, [token, other]: [&str; 2]) -> Result<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { anyhow::bail!("a token has three parts") };
    let others = other.rsplit('.').next().context("a token has a signature")?;
    let read = |part: &str| -> Result<Value> { Ok(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part)?)?) };
    let write = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let changed = |name: &str, value: Value| -> Result<String> {
        let mut claims = read(claims)?;
        claims[name] = value;
        Ok(format!("{header}.{}.{signature}", write(&claims)))
    };
    Ok(match forgery {
        Forgery::Junk => "junk".to_owned(),
        Forgery::Unsigned => {
            let mut header = read(header)?;
            header["alg"] = json!("none");
            format!("{}.{claims}.", write(&header))
        }
        Forgery::Prolonged => changed("exp", json!(4_000_000_000_i64))?,
        Forgery::Promoted => changed("roles", json!(["customer", "admin"]))?,
        Forgery::Mixed => format!("{header}.{claims}.{others}"),
    })
}
