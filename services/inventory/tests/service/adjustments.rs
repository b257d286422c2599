//! What staff do.

use futures::future::join_all;
use serde_json::json;
use testkit::{Answer, Client};
use types::{OrderId, UserId, VariantId};

use crate::shop::Shop;

async fn adjust(client: &Client, variant_id: VariantId, etag: &str, delta: i64) -> Answer {
    let path = format!("/api/inventory/{variant_id}/adjustments");
    client.post(&path).if_match(etag).json(&json!({"delta": delta, "reason": "counted"})).send().await
}

#[tokio::test]
async fn staff_adjust_the_stock_they_have_read() {
    let shop = Shop::open().await;
    let (staff, tote) = (shop.staff(), shop.stocked(5).await);
    let read = shop.read(tote).await.expect(200);
    assert_eq!(read.json(), json!({"variant_id": tote, "on_hand": 5, "reserved": 0, "available": 5}));
    let adjusted = adjust(&staff, tote, &read.etag(), 7).await.expect(200);
    assert_eq!(adjusted.json(), json!({"variant_id": tote, "on_hand": 12, "reserved": 0, "available": 12}));
    assert_eq!(adjusted.etag(), shop.read(tote).await.etag());
    adjust(&staff, tote, &read.etag(), 1).await.expect_problem(412, "stale");
    let path = format!("/api/inventory/{tote}/adjustments");
    let without = staff.post(&path).json(&json!({"delta": 1, "reason": "counted"})).send().await;
    without.expect_problem(428, "precondition_required");
    assert_eq!(shop.stock(tote).await, (12, 0));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn what_is_reserved_cannot_be_taken_away() {
    let shop = Shop::open().await;
    let (staff, tote) = (shop.staff(), shop.stocked(5).await);
    shop.reserve(OrderId::new(), &[(tote, 3)]).await.unwrap();
    adjust(&staff, tote, "*", -3).await.expect_problem(409, "below_reserved");
    adjust(&staff, tote, "*", -2).await.expect_status(200);
    assert_eq!(shop.stock(tote).await, (3, 3));
}

#[tokio::test]
async fn values_that_make_no_sense_are_refused_and_change_nothing() {
    let shop = Shop::open().await;
    let (staff, tote) = (shop.staff(), shop.stocked(5).await);
    let path = format!("/api/inventory/{tote}/adjustments");
    let send =
        async |body: &str| staff.post(&path).if_match("*").body("application/json", body.to_owned()).send().await;
    let cases = [
        (r#"{"delta": 0, "reason": "x"}"#, 422, "validation_failed"),
        (r#"{"delta": 1, "reason": ""}"#, 422, "validation_failed"),
        (r#"{"delta": 1, "reason": "a\u0000b"}"#, 422, "validation_failed"),
        (r#"{"delta": 1000000001, "reason": "x"}"#, 422, "validation_failed"),
        (r#"{"delta": 1000000000, "reason": "x"}"#, 422, "validation_failed"),
        (r#"{"delta": 9223372036854775808, "reason": "x"}"#, 400, "invalid_body"),
        (r#"{"delta": 1.5, "reason": "x"}"#, 400, "invalid_body"),
        (r#"{"delta": "1", "reason": "x"}"#, 400, "invalid_body"),
        (r#"{"delta": 1}"#, 400, "invalid_body"),
        (r#"{"delta": 1, "reason": "x", "on_hand": 5}"#, 400, "invalid_body"),
        (r#"{"delta": 1, "#, 400, "malformed_json"),
    ];
    for (body, status, code) in cases {
        send(body).await.expect_problem(status, code);
    }
    assert_eq!(shop.stock(tote).await, (5, 0));
}

#[tokio::test]
async fn stock_is_for_staff() {
    let shop = Shop::open().await;
    let tote = shop.stocked(5).await;
    let guest = shop.server.client();
    let customer = guest.bearer(shop.issuer.customer(UserId::new()));
    let late = guest.bearer(shop.issuer.expired(UserId::new()));
    for path in [format!("/api/inventory/{tote}"), format!("/api/inventory/{tote}/movements")] {
        guest.get(&path).send().await.expect_problem(401, "login_required");
        late.get(&path).send().await.expect_problem(401, "invalid_token");
        customer.get(&path).send().await.expect_problem(403, "forbidden");
    }
    adjust(&guest, tote, "*", 1).await.expect_problem(401, "login_required");
    adjust(&customer, tote, "*", 1).await.expect_problem(403, "forbidden");
    assert_eq!(shop.stock(tote).await, (5, 0));
}

#[tokio::test]
async fn an_unknown_variant_is_not_found() {
    let shop = Shop::open().await;
    let staff = shop.staff();
    adjust(&staff, VariantId::new(), "*", 1).await.expect_problem(404, "not_found");
    for id in [VariantId::new().to_string(), "tote".to_owned(), "%00".to_owned(), "%ff".to_owned()] {
        staff.get(&format!("/api/inventory/{id}")).send().await.expect_problem(404, "not_found");
        staff.get(&format!("/api/inventory/{id}/movements")).send().await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adjustment_with_a_key_is_made_once() {
    let shop = Shop::open().await;
    let (staff, tote) = (shop.staff(), shop.stocked(5).await);
    let path = format!("/api/inventory/{tote}/adjustments");
    let etag = shop.read(tote).await.etag();
    let send = async |delta: i64| {
        let body = json!({"delta": delta, "reason": "counted"});
        staff.post(&path).if_match(&etag).idempotency_key("delivery-1").json(&body).send().await
    };
    let first = send(3).await.expect(200);
    let again = send(3).await.expect(200);
    assert_eq!((&first.body, first.etag()), (&again.body, again.etag()));
    send(4).await.expect_problem(422, "idempotency_key_reused");
    let twins = join_all((0..20).map(|_| {
        let body = json!({"delta": 1, "reason": "twin"});
        staff.post(&path).if_match("*").idempotency_key("delivery-2").json(&body).send()
    }));
    let twins = twins.await;
    assert!(twins.iter().all(|answer| [200, 409].contains(&answer.status.as_u16())));
    assert_eq!(shop.stock(tote).await, (9, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_have_read_the_same_stock_one_changes_it() {
    let shop = Shop::open().await;
    let (staff, tote) = (shop.staff(), shop.stocked(5).await);
    let etag = shop.read(tote).await.etag();
    let answers = join_all((0..20).map(|_| adjust(&staff, tote, &etag, 1))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status.as_u16() == status).count();
    assert_eq!((count(200), count(412)), (1, 19));
    assert_eq!(shop.stock(tote).await, (6, 0));
}

#[tokio::test]
async fn the_history_tells_every_change_in_pages() {
    let shop = Shop::open().await;
    let (staff, tote) = (shop.staff(), shop.stocked(5).await);
    let order = OrderId::new();
    adjust(&staff, tote, "*", 2).await.expect_status(200);
    shop.reserve(order, &[(tote, 4)]).await.unwrap();
    shop.release(order).await;
    let path = format!("/api/inventory/{tote}/movements?limit=3");
    let first = staff.get(&path).send().await.expect(200).json();
    let next = first["next"].as_str().expect("there is a second page").to_owned();
    let second = staff.get(&format!("{path}&cursor={next}")).send().await.expect(200).json();
    assert_eq!(second["next"], json!(null));
    let pages = [first["items"].as_array().unwrap().clone(), second["items"].as_array().unwrap().clone()].concat();
    let told: Vec<_> = pages
        .iter()
        .map(|item| {
            (
                item["kind"].as_str().unwrap(),
                item["on_hand_delta"].as_i64().unwrap(),
                item["reserved_delta"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("released", 0, -4), ("reserved", 0, 4), ("adjustment", 2, 0), ("initial", 5, 0)]);
    assert_eq!((&pages[0]["order_id"], &pages[2]["reason"]), (&json!(order), &json!("counted")));
    for (query, code) in [
        ("limit=0", "invalid_query"),
        ("limit=101", "invalid_query"),
        ("cursor=x", "invalid_cursor"),
        ("page=2", "invalid_query"),
    ] {
        let path = format!("/api/inventory/{tote}/movements?{query}");
        staff.get(&path).send().await.expect_problem(400, code);
    }
}
