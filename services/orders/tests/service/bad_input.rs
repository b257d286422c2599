//! Requests that are refused, and change nothing.

use serde_json::{Value, json};
use types::UserId;

use crate::shop::{Shop, checkout};

fn with(path: &str, value: Value) -> Value {
    let mut body = checkout();
    *body.pointer_mut(path).unwrap() = value;
    body
}

fn and(field: &str, value: Value) -> Value {
    let mut body = checkout();
    body[field] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_makes_no_sense_is_refused_before_anything_is_claimed() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let ada = shop.customer();
    ada.wants(&tote, 1).await;
    let refused = [
        json!({}),
        json!([]),
        json!(null),
        and("total", json!({"amount": 1, "currency": "NGN"})),
        with("/payment/method", json!("cash")),
        with("/payment/method", json!(7)),
        with("/payment", json!({"method": "wallet", "amount": 1})),
        with("/shipping_address/name", json!("")),
        with("/shipping_address/name", json!("a\u{0}b")),
        with("/shipping_address/line1", json!("x".repeat(201))),
        with("/shipping_address/country", json!("Nigeria")),
        with("/shipping_address/country", json!(null)),
    ];
    for body in refused {
        let answer = ada.orders.post("/api/orders").idempotency_key("key").json(&body).send().await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
    }
    let broken = ada.orders.post("/api/orders").idempotency_key("key").body("application/json", "{\"payment\":");
    broken.send().await.expect_problem(400, "malformed_json");
    let large = format!("{{\"payment\":\"{}\"}}", "x".repeat(300_000));
    let large = ada.orders.post("/api/orders").idempotency_key("key").body("application/json", large);
    large.send().await.expect_problem(413, "body_too_large");
    assert_eq!(shop.stock(&tote).await["reserved"], 0);
    ada.checks_out("key").send().await.expect_status(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_needs_a_key_a_token_and_a_cart() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let keyless = ada.orders.post("/api/orders").json(&checkout()).send().await;
    keyless.expect_problem(400, "idempotency_key_required");
    ada.checks_out(&"k".repeat(256)).send().await.expect_problem(400, "invalid_idempotency_key");
    let guest = shop.orders.client().post("/api/orders").idempotency_key("key").json(&checkout());
    guest.send().await.expect_problem(401, "login_required");
    let late = shop.orders.client().bearer(shop.issuer.expired(UserId::new()));
    let late = late.post("/api/orders").idempotency_key("key").json(&checkout()).send().await;
    late.expect_problem(401, "invalid_token");
    ada.checks_out("key").send().await.expect_problem(409, "cart_empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_make_no_sense_get_a_4xx() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    for (path, status) in [
        ("/api/orders/none", 404),
        ("/api/orders/0199aaaa-0000-7000-8000-000000000000", 404),
        ("/api/orders/%00", 404),
        ("/api/orders/%FF", 404),
        ("/api/orders?limit=0", 400),
        ("/api/orders?limit=101", 400),
        ("/api/orders?limit=99999999999999999999", 400),
        ("/api/orders?cursor=junk", 400),
        ("/api/orders?status=lost", 400),
        ("/api/orders?colour=green", 400),
        ("/api/orders?customer_id=me", 400),
    ] {
        let answer = ada.orders.get(path).send().await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    }
}
