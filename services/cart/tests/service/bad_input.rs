//! Requests that are refused, and change nothing.

use serde_json::json;
use types::UserId;

use crate::shop::{Shop, variant};

#[tokio::test(flavor = "multi_thread")]
async fn an_addition_that_makes_no_sense_is_refused() {
    let shop = Shop::open().await;
    let tote = variant(&shop.sell("TOTE", 100, 1).await, 0);
    let ada = shop.customer();
    for (body, status) in [
        (json!({}), 400),
        (json!({"variant_id": tote}), 400),
        (json!({"variant_id": tote, "quantity": 1, "price": 1}), 400),
        (json!({"variant_id": "tote", "quantity": 1}), 400),
        (json!({"variant_id": tote, "quantity": "1"}), 400),
        (json!({"variant_id": tote, "quantity": 1.5}), 400),
        (json!({"variant_id": tote, "quantity": 99_999_999_999_999_999_999_f64}), 400),
        (json!({"variant_id": tote, "quantity": 0}), 422),
        (json!({"variant_id": tote, "quantity": -1}), 422),
        (json!({"variant_id": tote, "quantity": 10_001}), 422),
        (json!({"variant_id": tote, "quantity": i64::MAX}), 422),
        (json!({"variant_id": UserId::new(), "quantity": 1}), 422),
    ] {
        let answer = ada.client.post("/api/cart/items").json(&body).send().await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
    }
    assert_eq!(shop.lines(ada.id).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_has_bounds() {
    let shop = Shop::open().await;
    let (first, second) = (shop.sell("A", 10_000_000_000_000, 100).await, shop.sell("B", 1, 1).await);
    let ada = shop.customer();
    for number in 0..100 {
        ada.adds(&variant(&first, number), 1).await.expect_status(200);
    }
    ada.adds(&variant(&second, 0), 1).await.expect_problem(409, "cart_full");
    ada.adds(&variant(&first, 0), 10_000).await.expect_problem(422, "validation_failed");
    assert_eq!(shop.lines(ada.id).await.len(), 100);
    let item = |number| format!("/api/cart/items/{}", variant(&first, number));
    let most = json!({"quantity": 10_000});
    let mut answers = Vec::new();
    for number in 0..100 {
        answers.push(ada.client.patch(&item(number)).json(&most).send().await);
    }
    answers.last().unwrap().expect_problem(409, "total_too_large");
    ada.client.get("/api/cart").send().await.expect_problem(409, "total_too_large");
    ada.client.delete("/api/cart").send().await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_for_those_who_are_logged_in() {
    let shop = Shop::open().await;
    shop.cart.client().get("/api/cart").send().await.expect_problem(401, "login_required");
    let late = shop.cart.client().bearer(shop.issuer.expired(UserId::new()));
    late.get("/api/cart").send().await.expect_problem(401, "invalid_token");
    let ada = shop.customer();
    ada.client.delete("/api/cart/items/none").send().await.expect_problem(404, "not_found");
    let patch = ada.client.patch("/api/cart/items/none").json(&json!({"quantity": 1}));
    patch.send().await.expect_problem(404, "not_found");
    ada.client.put("/api/cart").json(&json!({})).send().await.expect_problem(405, "method_not_allowed");
}
