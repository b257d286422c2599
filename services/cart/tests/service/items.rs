//! What is in a cart.

use futures::future::join_all;
use serde_json::json;

use crate::shop::{Shop, variant};

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_shows_its_lines_in_the_order_they_were_added_at_the_prices_of_now() {
    let shop = Shop::open().await;
    let product = shop.sell("TOTE", 1_999, 2).await;
    let (first, second) = (variant(&product, 1), variant(&product, 0));
    let ada = shop.customer();
    let empty = ada.client.get("/api/cart").send().await.expect(200).json();
    assert_eq!(empty, json!({"items": [], "unavailable": [], "total": {"amount": 0, "currency": "NGN"}}));
    ada.adds(&first, 2).await.expect_status(200);
    let cart = ada.adds(&second, 1).await.expect(200).json();
    assert_eq!(cart["items"][0]["variant_id"], first);
    assert_eq!(cart["items"][0]["sku"], "TOTE-1");
    assert_eq!(cart["items"][0]["unit_price"], json!({"amount": 1_999, "currency": "NGN"}));
    assert_eq!(cart["items"][0]["line_total"], json!({"amount": 3_998, "currency": "NGN"}));
    assert_eq!(cart["items"][1]["variant_id"], second);
    assert_eq!(cart["total"], json!({"amount": 5_997, "currency": "NGN"}));
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let cheaper = json!({"variants": [{"sku": "TOTE-1", "price": {"amount": 1, "currency": "NGN"}}]});
    shop.merchant().patch(&path).if_match("*").json(&cheaper).send().await.expect_status(200);
    let cart = ada.client.get("/api/cart").send().await.expect(200).json();
    assert_eq!(cart["total"], json!({"amount": 2_001, "currency": "NGN"}));
    assert_eq!(shop.lines(ada.id).await, [(first, 2), (second, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_changed_taken_out_and_the_cart_emptied() {
    let shop = Shop::open().await;
    let product = shop.sell("TOTE", 100, 2).await;
    let (tote, other) = (variant(&product, 0), variant(&product, 1));
    let ada = shop.customer();
    let item = format!("/api/cart/items/{tote}");
    let five = || ada.client.patch(&item).json(&json!({"quantity": 5})).send();
    five().await.expect_problem(404, "not_found");
    ada.adds(&tote, 1).await.expect_status(200);
    ada.adds(&other, 1).await.expect_status(200);
    assert_eq!(five().await.expect(200).json()["total"]["amount"], 600);
    for _ in 0..2 {
        let cart = ada.client.delete(&item).send().await.expect(200).json();
        assert_eq!(cart["total"]["amount"], 100);
    }
    let cart = ada.client.delete("/api/cart").send().await.expect(200).json();
    assert_eq!(cart["items"], json!([]));
    assert_eq!(shop.lines(ada.id).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn carts_of_two_customers_are_two() {
    let shop = Shop::open().await;
    let tote = variant(&shop.sell("TOTE", 100, 1).await, 0);
    let (ada, bola) = (shop.customer(), shop.customer());
    ada.adds(&tote, 1).await.expect_status(200);
    assert_eq!(bola.client.get("/api/cart").send().await.expect(200).json()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sold_any_more_is_listed_apart_and_costs_nothing() {
    let shop = Shop::open().await;
    let (tote, mug) = (shop.sell("TOTE", 100, 1).await, shop.sell("MUG", 50, 1).await);
    let ada = shop.customer();
    ada.adds(&variant(&tote, 0), 1).await.expect_status(200);
    ada.adds(&variant(&mug, 0), 1).await.expect_status(200);
    let path = format!("/api/products/{}", tote["id"].as_str().unwrap());
    let removed = shop.merchant().delete(&path).if_match("*").send().await;
    assert!(removed.status.is_success(), "{}", removed.text());
    let cart = ada.client.get("/api/cart").send().await.expect(200).json();
    assert_eq!(cart["unavailable"], json!([variant(&tote, 0)]));
    assert_eq!(cart["total"]["amount"], 50);
    assert_eq!(cart["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_addition_with_a_key_is_made_once() {
    let shop = Shop::open().await;
    let tote = variant(&shop.sell("TOTE", 100, 1).await, 0);
    let ada = shop.customer();
    let add = |units: i64| {
        let item = json!({"variant_id": tote, "quantity": units});
        ada.client.post("/api/cart/items").idempotency_key("key").json(&item).send()
    };
    let answers = join_all((0..10).map(|_| add(2))).await;
    for answer in answers {
        assert_eq!(answer.expect(200).json()["items"][0]["quantity"], 2);
    }
    add(3).await.expect_problem(422, "idempotency_key_reused");
    assert_eq!(shop.lines(ada.id).await, [(tote.clone(), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn additions_at_the_same_time_all_count() {
    let shop = Shop::open().await;
    let tote = variant(&shop.sell("TOTE", 100, 1).await, 0);
    let ada = shop.customer();
    for answer in join_all((0..30).map(|_| ada.adds(&tote, 1))).await {
        answer.expect_status(200);
    }
    assert_eq!(shop.lines(ada.id).await, [(tote, 30)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_kept_for_thirty_days() {
    let shop = Shop::open().await;
    let tote = variant(&shop.sell("TOTE", 100, 1).await, 0);
    let ada = shop.customer();
    ada.adds(&tote, 1).await.expect_status(200);
    let mut redis = shop.cache.connection().await;
    let seconds: i64 = redis::cmd("TTL").arg(format!("cart:{{{}}}", ada.id)).query_async(&mut redis).await.unwrap();
    assert!((2_591_900..=2_592_000).contains(&seconds), "{seconds}");
}
