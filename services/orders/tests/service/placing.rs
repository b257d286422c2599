//! A checkout from the cart to the event.

use events::{CancellationReason, OrderEvent};
use serde_json::json;
use testkit::eventually;

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_has_the_catalogues_prices_and_takes_stock_and_cart_with_it() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let (_, mug) = shop.sell("MUG", 500, 10).await;
    let ada = shop.customer();
    ada.wants(&tote, 2).await;
    ada.wants(&mug, 3).await;
    let answer = ada.checks_out("first").send().await.expect(201);
    assert_eq!(answer.etag(), "\"1\"");
    let order = answer.json();
    assert_eq!(order["status"], "pending");
    assert_eq!(order["total"], json!({"amount": 5_498, "currency": "NGN"}));
    assert_eq!(order["payment"]["status"], "pending");
    assert_eq!(order["payment"]["method"], "paystack");
    assert_eq!(order["lines"][0]["sku"], "TOTE");
    assert_eq!(order["lines"][1]["line_total"], json!({"amount": 1_500, "currency": "NGN"}));
    assert!(order["number"].as_str().is_some_and(|number| number.starts_with("GC-20") && number.ends_with("-000001")));
    let id = order["id"].as_str().unwrap();
    let read = ada.orders.get(&format!("/api/orders/{id}")).send().await.expect(200);
    assert_eq!((read.json(), read.etag()), (order.clone(), "\"1\"".to_owned()));
    assert_eq!(shop.stock(&tote).await["reserved"], 2);
    assert_eq!(shop.stock(&mug).await["available"], 7);
    let event = shop.events.subscribe::<OrderEvent>().next::<OrderEvent>().await;
    let OrderEvent::Created(created) = event.event else { unreachable!("an order was placed") };
    assert_eq!((created.order_id.to_string(), created.customer_id), (id.to_owned(), ada.id));
    assert_eq!(created.lines.len(), 2);
    eventually("the cart is emptied", || async { ada.items().await.is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_after_the_checkout_stays_in_the_cart() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let (_, mug) = shop.sell("MUG", 500, 10).await;
    let ada = shop.customer();
    ada.wants(&tote, 1).await;
    ada.checks_out("first").send().await.expect_status(201);
    ada.wants(&mug, 1).await;
    eventually("the ordered line leaves the cart", || async {
        let items = ada.items().await;
        items.len() == 1 && items[0]["sku"] == "MUG"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_gives_the_same_answer_and_another_one_under_its_key_is_refused() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let ada = shop.customer();
    ada.wants(&tote, 1).await;
    let first = ada.checks_out("key").send().await.expect(201);
    ada.wants(&tote, 5).await;
    let again = ada.checks_out("key").send().await.expect(201);
    assert_eq!((again.text(), again.etag()), (first.text(), first.etag()));
    let mut other = crate::shop::checkout();
    other["payment"]["method"] = "wallet".into();
    let reused = ada.orders.post("/api/orders").idempotency_key("key").json(&other).send().await;
    reused.expect_problem(422, "idempotency_key_reused");
    assert_eq!(shop.stock(&tote).await["reserved"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_of_another_customer_is_another_order() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let (ada, bola) = (shop.customer(), shop.customer());
    ada.wants(&tote, 1).await;
    bola.wants(&tote, 1).await;
    let first = ada.checks_out("key").send().await.expect(201).json();
    let second = bola.checks_out("key").send().await.expect(201).json();
    assert_ne!(first["id"], second["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_stock_of_one_line_orders_nothing_and_names_the_line() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let (_, mug) = shop.sell("MUG", 500, 1).await;
    let ada = shop.customer();
    ada.wants(&tote, 2).await;
    ada.wants(&mug, 3).await;
    let refused = ada.checks_out("key").send().await;
    refused.expect_problem(409, "out_of_stock");
    assert_eq!(refused.json()["lines"], json!([{"variant_id": mug, "requested": 3, "available": 1}]));
    assert_eq!(shop.stock(&tote).await["reserved"], 0);
    assert_eq!(ada.items().await.len(), 2);
    let again = ada.checks_out("key").send().await;
    assert_eq!(again.text(), refused.text());
    assert_eq!(again.status, refused.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sold_any_more_is_not_ordered() {
    let shop = Shop::open().await;
    let (product, tote) = shop.sell("TOTE", 1_999, 10).await;
    let ada = shop.customer();
    ada.wants(&tote, 2).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    shop.merchant().delete(&path).if_match("*").send().await;
    let refused = ada.checks_out("key").send().await;
    refused.expect_problem(409, "not_for_sale");
    assert_eq!(refused.json()["variant_ids"], json!([tote]));
    assert_eq!(shop.stock(&tote).await["reserved"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_paid_in_time_is_cancelled_and_its_stock_let_go() {
    let shop = Shop::open_with(1).await;
    let (_, tote) = shop.sell("TOTE", 1_999, 2).await;
    let ada = shop.customer();
    ada.wants(&tote, 2).await;
    let order = ada.checks_out("key").send().await.expect(201).json();
    let path = format!("/api/orders/{}", order["id"].as_str().unwrap());
    eventually("the order expires", || async {
        ada.orders.get(&path).send().await.expect(200).json()["status"] == "cancelled"
    })
    .await;
    let expired = ada.orders.get(&path).send().await.expect(200);
    assert_eq!((expired.json()["payment"]["status"].clone(), expired.etag()), ("cancelled".into(), "\"2\"".to_owned()));
    shop.available(&tote, 2).await;
    let events = shop.events.subscribe::<OrderEvent>();
    assert!(matches!(events.next::<OrderEvent>().await.event, OrderEvent::Created(_)));
    let event = events.next::<OrderEvent>().await.event;
    let OrderEvent::Cancelled(cancelled) = event else { unreachable!("the order expired") };
    assert_eq!(cancelled.reason, CancellationReason::PaymentTimeout);
}
