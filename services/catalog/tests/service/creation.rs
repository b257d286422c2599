//! Making products.

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::unique;
use types::UserId;

use crate::shop::{Shop, naira, variant};

fn tote(sku: &str) -> Value {
    json!({
        "name": "Tote of old sails",
        "description": "Sewn in Lagos.",
        "category": "Bags",
        "recycled_percent": 95,
        "co2e_grams": 1200,
        "variants": [
            {"sku": format!("{sku}-S"), "name": "small", "price": naira(250_000), "stock": 7},
            {"sku": format!("{sku}-L"), "price": naira(350_000)},
        ],
    })
}

#[tokio::test]
async fn a_product_is_there_for_everybody_with_its_stock() {
    let shop = Shop::open().await;
    let sku = unique();
    let made = shop.staff().post("/api/products").json(&tote(&sku)).send().await.expect(201);
    let product = made.json();
    let expected = json!({
        "id": product["id"],
        "slug": "tote-of-old-sails",
        "name": "Tote of old sails",
        "description": "Sewn in Lagos.",
        "category": "Bags",
        "status": "active",
        "recycled_percent": 95,
        "co2e_grams": 1200,
        "images": [],
        "variants": [
            {"id": product["variants"][0]["id"], "sku": format!("{sku}-S"), "name": "small", "price": naira(250_000), "available": 7},
            {"id": product["variants"][1]["id"], "sku": format!("{sku}-L"), "name": null, "price": naira(350_000), "available": 0},
        ],
    });
    assert_eq!(product, expected);
    let guest = shop.server.client();
    for address in [product["id"].as_str().unwrap(), "tote-of-old-sails"] {
        let read = guest.get(&format!("/api/products/{address}")).send().await.expect(200);
        assert_eq!((read.json(), read.etag()), (expected.clone(), made.etag()));
    }
    let stock = format!("/api/inventory/{}", product["variants"][0]["id"].as_str().unwrap());
    assert_eq!(shop.inventory().get(&stock).send().await.expect(200).json()["on_hand"], 7);
}

#[tokio::test]
async fn products_of_one_name_have_addresses_of_their_own() {
    let shop = Shop::open().await;
    let (first, second) = (shop.product("Lamp", json!({})).await, shop.product("Lamp", json!({})).await);
    assert_eq!(first["slug"], "lamp");
    assert_ne!(second["slug"], "lamp");
    let path = format!("/api/products/{}", second["slug"].as_str().unwrap());
    assert_eq!(shop.server.client().get(&path).send().await.expect(200).json(), second);
}

#[tokio::test]
async fn only_staff_make_products() {
    let shop = Shop::open().await;
    let guest = shop.server.client();
    let customer = guest.bearer(shop.issuer.customer(UserId::new()));
    let late = guest.bearer(shop.issuer.expired(UserId::new()));
    let send = async |client: &testkit::Client| client.post("/api/products").json(&tote("T")).send().await;
    send(&guest).await.expect_problem(401, "login_required");
    send(&late).await.expect_problem(401, "invalid_token");
    send(&customer).await.expect_problem(403, "forbidden");
    assert_eq!(shop.count_of_products().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_given_once_however_many_ask_for_it() {
    let shop = Shop::open().await;
    let (staff, sku) = (shop.staff(), unique());
    let body = tote(&sku);
    let answers = join_all((0..10).map(|_| staff.post("/api/products").json(&body).send())).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.as_u16() == 201);
    assert_eq!(made.len(), 1);
    for answer in refused {
        answer.expect_problem(409, "sku_taken");
    }
    assert_eq!(shop.count_of_products().await, 1);
    let taken = staff.post("/api/products").json(&body).send().await;
    taken.expect_problem(409, "sku_taken");
    assert_eq!(taken.json()["skus"], json!([format!("{sku}-L"), format!("{sku}-S")]));
}

#[tokio::test]
async fn a_request_with_a_key_gives_the_same_answer_again() {
    let shop = Shop::open().await;
    let (staff, sku) = (shop.staff(), unique());
    let send = async |body: Value| staff.post("/api/products").idempotency_key("import-1").json(&body).send().await;
    let first = send(tote(&sku)).await.expect(201);
    let again = send(tote(&sku)).await.expect(201);
    assert_eq!((first.body.clone(), first.etag()), (again.body.clone(), again.etag()));
    send(tote("other")).await.expect_problem(422, "idempotency_key_reused");
    assert_eq!(shop.count_of_products().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_of_one_key_make_one_product() {
    let shop = Shop::open().await;
    let (staff, body) = (shop.staff(), tote(&unique()));
    let twins = (0..20).map(|_| staff.post("/api/products").idempotency_key("twin").json(&body).send());
    let twins = join_all(twins).await;
    let made: Vec<_> = twins.iter().filter(|answer| answer.status.as_u16() == 201).collect();
    assert!(made.iter().all(|answer| answer.body == made[0].body), "one key gave two products");
    assert!(!made.is_empty());
    for answer in twins.iter().filter(|answer| answer.status.as_u16() != 201) {
        answer.expect_problem(409, "request_in_flight");
    }
    assert_eq!(shop.count_of_products().await, 1);
}

#[tokio::test]
async fn while_inventory_is_away_nothing_is_made_and_the_key_stays_free() {
    let shop = Shop::without_inventory().await;
    let staff = shop.staff();
    let body = tote(&unique());
    for _ in 0..2 {
        let answer = staff.post("/api/products").idempotency_key("away").json(&body).send().await;
        answer.expect_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(shop.count_of_products().await, 0);
    let without_stock = json!({"name": "Lamp", "description": "", "variants": [variant()]});
    staff.post("/api/products").json(&without_stock).send().await.expect_status(201);
}

#[tokio::test]
async fn a_key_whose_request_was_refused_may_be_used_for_it_again() {
    let shop = Shop::open().await;
    let (staff, sku) = (shop.staff(), unique());
    let other = shop.product("Other", json!({"variants": [{"sku": format!("{sku}-S"), "price": naira(1)}]})).await;
    let send = async || staff.post("/api/products").idempotency_key("later").json(&tote(&sku)).send().await;
    for _ in 0..2 {
        send().await.expect_problem(409, "sku_taken");
    }
    assert_eq!(other["variants"][0]["sku"], format!("{sku}-S"));
}
