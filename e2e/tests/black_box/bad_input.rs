//! What no client should send: refused with the right status and a problem document, and nothing is changed.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::{Answer, Cluster, Customer, Product, Seen, Shop, unique, wait_until, workspace};
use serde::Deserialize;
use serde_json::{Value, json};

/// Who asks.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Who {
    Guest,
    Customer,
    /// Another customer than the owner of the order.
    Stranger,
    Staff,
    /// With a token that is none at all.
    Junk,
    /// With a good token, but signed by nobody.
    Unsigned,
    /// With a good token whose time is prolonged.
    Prolonged,
    /// With a good token of one role more.
    Promoted,
    /// With a good token, but the signature of another.
    Mixed,
}

/// A row of `tests/data/bad_requests.yaml`, which says what the fields mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    who: Who,
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    r#type: Option<String>,
    body: Option<String>,
    expect: String,
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
    for row in rows()? {
        let name = &row.name;
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

fn rows() -> Result<Vec<Row>> {
    let file = workspace().join("e2e/tests/data/bad_requests.yaml");
    let text = fs::read_to_string(&file)?;
    serde_yaml::from_str(&text).with_context(|| file.display().to_string())
}

fn judge(row: &Row, answer: Answer) -> Result<()> {
    let (status, code) = row.expect.split_once(' ').unwrap_or((&row.expect, ""));
    let problem = answer.expect(status.parse()?)?.problem()?;
    ensure!(code.is_empty() || problem["code"] == code, "{} instead of {code}: {}", problem["code"], problem["detail"]);
    if code == "validation_failed" {
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
        wait_until(store.space(), "an empty cart", Duration::from_secs(30), async || {
            let cart = owner.shop.get("/api/cart").send().await?.expect(200)?.json()?;
            Ok(Seen::when(cart["items"] == json!([]), cart.to_string()))
        })
        .await?;
        wait_until(store.space(), "the catalogue to hear of the order", Duration::from_secs(30), async || {
            let shown = staff.get(&format!("/api/products/{}", product.id)).send().await?.expect(200)?.json()?;
            Ok(Seen::when(shown["variants"][0]["available"] == 4, shown["variants"].to_string()))
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
            let ours = !path.contains('?');
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
        if let Some(body) = &row.body {
            let kind = row.r#type.as_deref().unwrap_or("application/json");
            call = call.body(kind, bytes(&self.fill(body)));
        }
        call.send().await
    }

    /// The text with what exists only now, and with what is too long for a table.
    fn fill(&self, text: &str) -> String {
        let words = [
            ("@variant", &*self.product.variant),
            ("@product", &*self.product.id),
            ("@order", &*self.order),
            ("@sku", &*self.product.sku),
            ("@owner-id", &*self.owner.id),
            ("@owner", &*self.owner.email),
            ("@nowhere", "00000000-0000-7000-8000-000000000000"),
            ("@long", &*"x".repeat(300)),
            ("@huge", &*"x".repeat(2 << 20)),
            ("@deep", &*("[".repeat(5_000) + &"]".repeat(5_000))),
        ];
        words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    fn shop(&self, who: Who) -> Result<Shop> {
        let [token, other] = [&self.owner, &self.stranger].map(|customer| customer.shop.token().unwrap_or_default());
        Ok(match who {
            Who::Guest => self.cluster.shop()?,
            Who::Customer => self.owner.shop.clone(),
            Who::Stranger => self.stranger.shop.clone(),
            Who::Staff => self.staff.clone(),
            Who::Junk | Who::Unsigned | Who::Prolonged | Who::Promoted | Who::Mixed => {
                self.cluster.shop()?.with_token(Some(&forge(who, token, other)?))
            }
        })
    }
}

/// The text as bytes, which need not be text any more.
fn bytes(text: &str) -> Vec<u8> {
    match text.split_once("@invalid") {
        Some((before, after)) => [before.as_bytes(), b"\xff\xfe", after.as_bytes()].concat(),
        None => text.as_bytes().to_vec(),
    }
}

/// A token that looks good.
fn forge(who: Who, token: &str, other: &str) -> Result<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { bail!("a token has three parts") };
    let read = |part: &str| -> Result<Value> { Ok(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part)?)?) };
    let changed = |part: &str, name: &str, value: Value| -> Result<String> {
        let mut claims = read(part)?;
        claims[name] = value;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
    };
    Ok(match who {
        Who::Unsigned => format!("{}.{claims}.", changed(header, "alg", json!("none"))?),
        Who::Prolonged => format!("{header}.{}.{signature}", changed(claims, "exp", json!(4_000_000_000_i64))?),
        Who::Promoted => format!("{header}.{}.{signature}", changed(claims, "roles", json!(["customer", "admin"]))?),
        Who::Mixed => format!("{header}.{claims}.{}", other.rsplit('.').next().unwrap_or_default()),
        _ => "junk".to_owned(),
    })
}
