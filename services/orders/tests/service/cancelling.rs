//! Cancelling orders.

use events::{CancellationReason, OrderEvent};
use futures::future::join_all;
use testkit::Answer;

use crate::shop::{Customer, Shop};

async fn ordered(shop: &Shop, ada: &Customer) -> (String, String) {
    let (_, tote) = shop.sell("TOTE", 1_999, 3).await;
    ada.wants(&tote, 3).await;
    let order = ada.checks_out("key").send().await.expect(201).json();
    (tote, format!("/api/orders/{}/cancel", order["id"].as_str().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_order_is_cancelled_once_and_its_stock_let_go() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let (tote, cancel) = ordered(&shop, &ada).await;
    ada.orders.post(&cancel).send().await.expect_problem(428, "precondition_required");
    ada.orders.post(&cancel).if_match("\"7\"").send().await.expect_problem(412, "stale");
    assert_eq!(shop.stock(&tote).await["reserved"], 3);
    let once = || ada.orders.post(&cancel).if_match("\"1\"").idempotency_key("cancel").send();
    let cancelled = once().await.expect(200);
    assert_eq!((cancelled.json()["status"].clone(), cancelled.etag()), ("cancelled".into(), "\"2\"".to_owned()));
    let again = once().await.expect(200);
    assert_eq!(again.json(), cancelled.json());
    ada.orders.post(&cancel).if_match("\"2\"").send().await.expect_problem(409, "order_not_cancellable");
    shop.available(&tote, 3).await;
    let events = shop.events.subscribe::<OrderEvent>();
    events.next::<OrderEvent>().await;
    let event = events.next::<OrderEvent>().await.event;
    let OrderEvent::Cancelled(cancelled) = event else { unreachable!("the order was cancelled") };
    assert_eq!(cancelled.reason, CancellationReason::Customer);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_cancel_one_order_one_does() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let (tote, cancel) = ordered(&shop, &ada).await;
    let answers: Vec<Answer> = join_all((0..10).map(|_| ada.orders.post(&cancel).if_match("\"1\"").send())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.expect_problem(412, "stale");
    }
    shop.available(&tote, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_may_cancel_and_strangers_see_no_such_order() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let (tote, cancel) = ordered(&shop, &ada).await;
    let stranger = shop.customer();
    stranger.orders.post(&cancel).if_match("*").send().await.expect_problem(404, "not_found");
    assert_eq!(shop.stock(&tote).await["reserved"], 3);
    shop.staff().post(&cancel).if_match("\"1\"").send().await.expect_status(200);
}
