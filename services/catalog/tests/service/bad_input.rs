//! Requests that make no sense: a problem each, and nothing is made.

use serde_json::{Value, json};

use crate::shop::{Shop, naira};

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut body =
        json!({"name": "Tote", "description": "", "variants": [{"sku": "TOTE", "price": naira(1), "stock": 1}]});
    change(&mut body);
    body.to_string()
}

#[tokio::test]
async fn a_product_that_makes_no_sense_is_refused() {
    let shop = Shop::open().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cases = [
        ("{".to_owned(), 400, "malformed_json"),
        (deep, 400, "invalid_body"),
        ("[]".to_owned(), 400, "invalid_body"),
        ("{}".to_owned(), 400, "invalid_body"),
        (with(|body| body["price"] = json!(1)), 400, "invalid_body"),
        (with(|body| body["name"] = json!(1)), 400, "invalid_body"),
        (with(|body| body["variants"][0]["price"] = json!(1)), 400, "invalid_body"),
        (with(|body| body["variants"][0]["price"] = json!({"amount": 1.5, "currency": "NGN"})), 400, "invalid_body"),
        (with(|body| body["variants"][0]["price"]["currency"] = json!("XXQ")), 400, "invalid_body"),
        (with(|body| body["variants"][0]["price"]["amount"] = json!(u64::MAX)), 400, "invalid_body"),
        (with(|body| body["variants"][0]["stock"] = json!(u64::MAX)), 400, "invalid_body"),
        (with(|body| body["variants"][0]["color"] = json!("red")), 400, "invalid_body"),
        (with(|body| body["name"] = json!("")), 422, "validation_failed"),
        (with(|body| body["name"] = json!("a\u{0}b")), 422, "validation_failed"),
        (with(|body| body["name"] = json!("a".repeat(201))), 422, "validation_failed"),
        (with(|body| body["description"] = json!("a".repeat(10_001))), 422, "validation_failed"),
        (with(|body| body["category"] = json!("\u{0}")), 422, "validation_failed"),
        (with(|body| body["status"] = json!("sold")), 422, "validation_failed"),
        (with(|body| body["recycled_percent"] = json!(101)), 422, "validation_failed"),
        (with(|body| body["recycled_percent"] = json!(-1)), 422, "validation_failed"),
        (with(|body| body["co2e_grams"] = json!(-1)), 422, "validation_failed"),
        (with(|body| body["co2e_grams"] = json!(i64::MAX)), 422, "validation_failed"),
        (with(|body| body["variants"] = json!([])), 422, "validation_failed"),
        (with(|body| body["variants"][0]["sku"] = json!("a b")), 422, "validation_failed"),
        (with(|body| body["variants"][0]["sku"] = json!("a\u{0}")), 422, "validation_failed"),
        (with(|body| body["variants"][0]["name"] = json!("\u{0}")), 422, "validation_failed"),
        (with(|body| body["variants"][0]["price"] = naira(-1)), 422, "validation_failed"),
        (with(|body| body["variants"][0]["price"] = naira(i64::MAX)), 422, "validation_failed"),
        (with(|body| body["variants"][0]["price"]["currency"] = json!("EUR")), 422, "validation_failed"),
        (with(|body| body["variants"][0]["stock"] = json!(-1)), 422, "validation_failed"),
        (with(|body| body["variants"][0]["stock"] = json!(i64::MAX)), 422, "validation_failed"),
    ];
    let staff = shop.staff();
    for (body, status, code) in cases {
        staff.post("/api/products").body("application/json", body).send().await.expect_problem(status, code);
    }
    let huge = with(|body| body["description"] = json!("a".repeat(300 * 1024)));
    staff.post("/api/products").body("application/json", huge).send().await.expect_problem(413, "body_too_large");
    staff.post("/api/products").body("text/plain", "{}").send().await.expect_problem(415, "unsupported_media_type");
    staff.put("/api/products").json(&json!({})).send().await.expect_problem(405, "method_not_allowed");
    let key = "k".repeat(256);
    let long_key =
        staff.post("/api/products").idempotency_key(&key).body("application/json", with(|_| ())).send().await;
    long_key.expect_problem(400, "invalid_idempotency_key");
    assert_eq!(shop.count_of_products().await, 0);
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named() {
    let shop = Shop::open().await;
    let body = with(|body| {
        body["name"] = json!("");
        body["variants"][0]["price"] = naira(-1);
    });
    let answer = shop.staff().post("/api/products").body("application/json", body).send().await;
    let fields: Vec<_> =
        answer.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, ["name", "variants[0].price.amount"]);
}

#[tokio::test]
async fn a_change_that_makes_no_sense_is_refused() {
    let shop = Shop::open().await;
    let product = shop.product("Tote", json!({})).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let sku = &product["variants"][0]["sku"];
    let cases = [
        (json!({"price": 1}), 400),
        (json!({"slug": "mine"}), 400),
        (json!({"variants": [{"price": naira(1)}]}), 400),
        (json!({"name": ""}), 422),
        (json!({"status": "sold"}), 422),
        (json!({"category": ""}), 422),
        (json!({"recycled_percent": 101}), 422),
        (json!({"co2e_grams": -1}), 422),
        (json!({"variants": [{"sku": sku, "price": naira(-1)}]}), 422),
        (json!({"variants": [{"sku": sku, "price": {"amount": 1, "currency": "EUR"}}]}), 422),
        (json!({"variants": [{"sku": sku}, {"sku": sku}]}), 422),
        (json!({"variants": [{"sku": "NEW"}]}), 422),
    ];
    for (body, status) in cases {
        shop.staff().patch(&path).if_match("*").json(&body).send().await.expect_status(status);
    }
    assert_eq!(shop.server.client().get(&path).send().await.expect(200).json(), product);
}
