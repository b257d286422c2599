//! The journey of a shop's people, over HTTP against the pods: it is the README's tour as a test.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use e2e::{Answer, Cluster, Customer, Seen, Shop, Store, events_of, unique, wait_until};
use serde_json::{Value, json};
use tokio::{
    sync::{Barrier, Semaphore},
    task::JoinSet,
};

/// Events take a moment from one service to the next.
const SOON: Duration = Duration::from_secs(30);
/// How often who is told to come again does.
const TRIES: u32 = 30;

#[tokio::test]
async fn the_store_says_that_it_is_ready_and_where_it_answers() -> Result<()> {
    let cluster = Cluster::connect().await?;
    // Given the store that was applied
    let store = cluster.store().await?;

    // When it is ready, it names the address.
    let status = store.wait_ready(Duration::from_mins(1)).await?["status"].clone();
    ensure!(status["endpoints"]["api"].as_str().is_some_and(|api| api.starts_with("http://")), "{status}");

    // And it names every service with all its pods: at once where none is being scaled by its load, and else soon.
    wait_until(store.space(), "every service with all its pods", Duration::from_mins(3), async || {
        let services = store.get().await?["status"]["services"].as_array().cloned().unwrap_or_default();
        let complete = |name| {
            let service = services.iter().find(|service| service["name"] == name);
            service.is_some_and(|service| service["ready"] == service["desired"] && service["ready"] != 0)
        };
        let lacking: Vec<_> = Store::services().iter().filter(|name| !complete(**name)).collect();
        Ok(Seen::when(lacking.is_empty(), format!("{lacking:?} of {services:?}")))
    })
    .await
}

#[tokio::test]
async fn a_guest_registers_logs_in_and_finds_what_they_look_for() -> Result<()> {
    let cluster = Cluster::connect().await?;
    // Given a shop with a product that has a word of its own in its name
    let word = unique("regatta").replace('-', "");
    let product = cluster.staff().await?.product(&format!("Tote of old sails {word}"), 450_000, 7).await?;

    // When somebody registers and logs in
    let guest = cluster.shop()?;
    let customer = guest.customer("Ada").await?;

    // Then they get a token that services accept, and everybody sees the product
    let sessions = customer.shop.get("/api/auth/sessions").send().await?.expect(200)?.json()?;
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1), "{sessions}");
    for path in [format!("/api/products/{}", product.id), format!("/api/products/{}", product.slug)] {
        let answer = guest.get(&path).send().await?.expect(200)?;
        assert_eq!(answer.etag()?, product.etag);
        let shown = answer.json()?;
        assert_eq!(shown["variants"][0]["price"], json!({"amount": 450_000, "currency": "NGN"}));
        assert_eq!(shown["variants"][0]["available"], 7);
    }
    // in the list, newest first and in pages, and by search.
    let page = guest.get("/api/products?limit=20").send().await?.expect(200)?.json()?;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(20));
    let next = page["next"].as_str().unwrap_or_default();
    let second = guest.get(&format!("/api/products?limit=20&cursor={next}")).send().await?.expect(200)?.json()?;
    let ids = |page: &Value| -> Vec<Value> {
        page["items"].as_array().into_iter().flatten().map(|item| item["id"].clone()).collect()
    };
    assert!(ids(&page).contains(&json!(product.id)));
    assert!(ids(&second).iter().all(|id| !ids(&page).contains(id)), "a product is on two pages");
    let found = guest.get(&format!("/api/search?q={word}&limit=5")).send().await?.expect(200)?.json()?;
    assert_eq!(found[0]["id"], json!(product.id), "{found}");
    Ok(())
}

#[tokio::test]
async fn a_refresh_token_gives_the_next_access_token() -> Result<()> {
    let cluster = Cluster::connect().await?;
    // Given somebody who is logged in
    let customer = cluster.shop()?.customer("Bola").await?;
    let credentials = json!({"email": customer.email, "password": customer.password});
    let login = cluster.shop()?.post("/api/auth/login").json(&credentials).send().await?.expect(200)?.json()?;

    // When the access token is renewed
    let refresh = json!({"refresh_token": login["refresh_token"]});
    let renewed = cluster.shop()?.post("/api/auth/refresh").json(&refresh).send().await?.expect(200)?.json()?;

    // Then the new one works, and it is signed with a key that everybody can read.
    let token = renewed["access_token"].as_str();
    customer.shop.with_token(token).get("/api/cart").send().await?.expect(200)?;
    let keys = cluster.shop()?.get("/.well-known/jwks.json").send().await?.expect(200)?.json()?;
    assert_eq!(keys["keys"][0]["kty"], "OKP", "{keys}");
    assert_eq!(keys["keys"][0]["crv"], "Ed25519", "{keys}");
    assert!(keys["keys"][0]["d"].is_null(), "a private key is served");
    Ok(())
}

#[tokio::test]
async fn staff_change_a_price_only_with_the_version_they_saw() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let staff = cluster.staff().await?;
    // Given a product
    let product = staff.product("Lamp of a ship's bell", 1_200_000, 3).await?;
    let path = format!("/api/products/{}", product.id);
    let price =
        |amount: i64| json!({"variants": [{"sku": product.sku, "price": {"amount": amount, "currency": "NGN"}}]});

    // When its price is changed without a version, then that is refused
    staff.patch(&path).json(&price(1)).send().await?.expect_problem(428, "precondition_required")?;

    // When it is changed with the version that was read, then there is a new version
    let changed = staff.patch(&path).if_match(&product.etag).json(&price(1_100_000)).send().await?.expect(200)?;
    assert_ne!(changed.etag()?, product.etag);

    // When somebody else changes it with the version of before, then nothing is overwritten.
    staff.patch(&path).if_match(&product.etag).json(&price(2)).send().await?.expect_problem(412, "stale")?;
    let shown = cluster.shop()?.get(&path).send().await?.expect(200)?;
    assert_eq!(shown.etag()?, changed.etag()?);
    assert_eq!(shown.json()?["variants"][0]["price"]["amount"], 1_100_000);
    Ok(())
}

#[tokio::test]
async fn a_checkout_reserves_stock_empties_the_cart_and_happens_once() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let store = cluster.store().await?;
    let staff = cluster.staff().await?;
    // Given two products and a customer with both in the cart
    let (mug, rug) =
        (staff.product("Mug of beach glass", 250_050, 10).await?, staff.product("Rug of fishing nets", 999, 4).await?);
    let customer = cluster.shop()?.customer("Chidi").await?;
    customer.shop.put_into_cart(&mug, 3).await?;
    let cart = customer.shop.put_into_cart(&rug, 1).await?;
    assert_eq!(cart["total"], json!({"amount": 3 * 250_050 + 999, "currency": "NGN"}));

    // When they check out
    let key = unique("checkout");
    let placed = customer.shop.checkout(&key).send().await?.expect(201)?;
    let order = placed.json()?;

    // Then the order is pending at the catalogue's prices
    assert_eq!(order["status"], "pending");
    assert_eq!(order["payment"]["status"], "pending");
    assert_eq!(order["payment"]["method"], "paystack");
    assert_eq!(order["total"], cart["total"]);
    assert_eq!(order["lines"].as_array().map(Vec::len), Some(2));
    let path = format!("/api/orders/{}", order["id"].as_str().unwrap_or_default());
    let shown = customer.shop.get(&path).send().await?.expect(200)?;
    assert_eq!((shown.etag()?, shown.json()?), (placed.etag()?, order.clone()));

    // and the stock is reserved,
    let stock = staff.stock(&mug).await?;
    assert_eq!((&stock["on_hand"], &stock["reserved"], &stock["available"]), (&json!(10), &json!(3), &json!(7)));

    // the same request again gives the same answer, byte for byte, and nothing more happens,
    let again = customer.shop.checkout(&key).send().await?.expect(201)?;
    assert_eq!((again.etag()?, &again.body), (placed.etag()?, &placed.body));
    assert_eq!(staff.stock(&mug).await?, stock);

    // the cart is emptied by the order's event,
    wait_until(store.space(), "an empty cart", SOON, async || {
        let cart = customer.shop.get("/api/cart").send().await?.expect(200)?.json()?;
        Ok(Seen::when(cart["items"] == json!([]), cart.to_string()))
    })
    .await?;

    // which is on Kafka, once.
    let ours = wait_until(store.space(), "the order's event", Duration::from_mins(2), async || {
        let mut events = events_of(&store, "order.events").await?;
        events.retain(|event| event["subject"] == order["id"]);
        // Whoever sends it may have to send it again: it is the same event.
        events.dedup_by(|event, before| event["id"] == before["id"]);
        Ok(if events.is_empty() { Seen::NotYet("no event".to_owned()) } else { Seen::Yes(events) })
    })
    .await?;
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert_eq!(ours[0]["type"], "dev.greencommerce.order.created.v1");
    assert_eq!(ours[0]["data"]["total"], order["total"]);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_order_gives_its_stock_back() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let store = cluster.store().await?;
    let staff = cluster.staff().await?;
    // Given an order for two of three
    let product = staff.product("Belt of a tyre", 80_000, 3).await?;
    let customer = cluster.shop()?.customer("Dayo").await?;
    customer.shop.put_into_cart(&product, 2).await?;
    let placed = customer.shop.checkout(&unique("checkout")).send().await?.expect(201)?;
    let path = format!("/api/orders/{}/cancel", placed.json()?["id"].as_str().unwrap_or_default());

    // When the customer cancels it
    let cancelled = customer.shop.post(&path).if_match(&placed.etag()?).send().await?.expect(200)?.json()?;

    // Then it stays cancelled and the stock comes back.
    assert_eq!(cancelled["status"], "cancelled");
    wait_until(store.space(), "the stock to come back", SOON, async || {
        let stock = staff.stock(&product).await?;
        Ok(Seen::when(stock["available"] == 3 && stock["reserved"] == 0, stock.to_string()))
    })
    .await
}

#[tokio::test]
async fn forty_customers_race_for_five_units_and_five_get_one() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let store = cluster.store().await?;
    let staff = cluster.staff().await?;
    // Given five units and forty customers, each with one in the cart
    let product = staff.product("Chair of a single oar", 3_000_000, 5).await?;
    let customers = customers(&cluster.shop()?, 40).await?;
    for customer in &customers {
        customer.shop.put_into_cart(&product, 1).await?;
    }

    // When all of them check out at once, each over a connection of their own
    let answers = race(customers).await?;

    // Then exactly five have an order, and the others hear that it is sold out.
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for answer in &answers {
        *statuses.entry(answer.status.as_u16()).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(201, 5), (409, 35)]), "{:?}", texts(&answers, 500));
    for answer in answers.into_iter().filter(|answer| answer.status == 409) {
        let problem = answer.expect_problem(409, "out_of_stock")?;
        ensure!(problem["lines"].to_string().contains(&product.variant), "{problem}");
    }
    // Nothing is left, nothing oversold,
    let stock = staff.stock(&product).await?;
    assert_eq!((&stock["on_hand"], &stock["reserved"], &stock["available"]), (&json!(5), &json!(5), &json!(0)));
    // and the shop window learns it.
    wait_until(store.space(), "the catalogue to show none", SOON, async || {
        let shown = cluster.shop()?.get(&format!("/api/products/{}", product.id)).send().await?.expect(200)?.json()?;
        Ok(Seen::when(shown["variants"][0]["available"] == 0, shown["variants"].to_string()))
    })
    .await
}

#[tokio::test]
async fn one_checkout_sent_twenty_times_at_once_makes_one_order() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let staff = cluster.staff().await?;
    // Given a customer with something in the cart
    let product = staff.product("Kite of a parachute", 70_000, 100).await?;
    let customer = cluster.shop()?.customer("Efe").await?;
    customer.shop.put_into_cart(&product, 1).await?;

    // When an impatient client sends the same checkout from twenty connections
    let key = unique("checkout");
    let mut twins = JoinSet::new();
    for _ in 0..20 {
        let (shop, key) = (customer.shop.on_new_connections()?, key.clone());
        twins.spawn(async move { shop.checkout(&key).send().await });
    }
    let answers = twins.join_all().await.into_iter().collect::<Result<Vec<Answer>>>()?;

    // Then each gets the one order, or hears that it is on its way
    for answer in &answers {
        ensure!(
            answer.status == 201 || answer.clone().expect_problem(409, "request_in_flight").is_ok(),
            "{}",
            answer.text()
        );
    }
    let made: Vec<&Vec<u8>> = answers.iter().filter(|answer| answer.status == 201).map(|answer| &answer.body).collect();
    ensure!(!made.is_empty() && made.iter().all(|body| *body == made[0]), "{:?}", texts(&answers, 201));
    // and there is one order for one unit.
    let orders = customer.shop.get("/api/orders").send().await?.expect(200)?.json()?;
    assert_eq!(orders["items"].as_array().map(Vec::len), Some(1), "{orders}");
    assert_eq!(staff.stock(&product).await?["reserved"], 1);
    Ok(())
}

/// New customers. Passwords are slow to hash by design, so only a few register at a time.
async fn customers(shop: &Shop, count: usize) -> Result<Vec<Customer>> {
    let at_once = Arc::new(Semaphore::new(4));
    let mut registrations = JoinSet::new();
    for number in 0..count {
        let (shop, at_once) = (shop.clone(), Arc::clone(&at_once));
        registrations.spawn(async move {
            let _turn = at_once.acquire().await?;
            shop.customer(&format!("racer{number}")).await
        });
    }
    registrations.join_all().await.into_iter().collect()
}

/// One checkout by each, started together over open connections.
async fn race(customers: Vec<Customer>) -> Result<Vec<Answer>> {
    let start = Arc::new(Barrier::new(customers.len()));
    let mut racers = JoinSet::new();
    for customer in customers {
        let start = Arc::clone(&start);
        racers.spawn(async move {
            let shop = customer.shop.on_new_connections()?;
            shop.get("/healthz").send().await?;
            start.wait().await;
            let key = unique("race");
            let mut answer = shop.checkout(&key).send().await?;
            // A service that has too much to do says so: the same checkout once more is what it asks for.
            for _ in 0..TRIES {
                if !matches!(answer.status.as_u16(), 503 | 504) {
                    break;
                }
                answer = shop.checkout(&key).send().await?;
            }
            Ok(answer)
        });
    }
    racers.join_all().await.into_iter().collect()
}

/// Bodies of the answers of `status` and above.
fn texts(answers: &[Answer], status: u16) -> Vec<String> {
    answers.iter().filter(|answer| answer.status.as_u16() >= status).map(Answer::text).collect()
}
