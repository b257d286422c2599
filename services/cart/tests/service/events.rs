//! What was ordered leaves the cart.

use events::{CloudEvent, DEAD_LETTERS, OrderCreated, OrderEvent, OrderLineData};
use jiff::Timestamp;
use testkit::eventually;
use types::{Money, OrderId, Quantity, UserId};

use crate::shop::{Shop, variant};

fn ordered(customer_id: UserId, variant: &str, units: i64) -> CloudEvent<OrderEvent> {
    let price = Money::new(100, "NGN".parse().unwrap());
    let line = OrderLineData {
        variant_id: variant.parse().unwrap(),
        sku: "TOTE-0".parse().unwrap(),
        name: "Tote".parse().unwrap(),
        quantity: Quantity::try_from(units).unwrap(),
        unit_price: price,
    };
    let order = OrderCreated {
        order_id: OrderId::new(),
        number: "GC-2026-000001".to_owned(),
        customer_id,
        lines: vec![line],
        total: price,
    };
    CloudEvent::new(OrderEvent::Created(order), Timestamp::UNIX_EPOCH, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_twice_takes_its_units_once() {
    let shop = Shop::open().await;
    let product = shop.sell("TOTE", 100, 2).await;
    let (tote, other) = (variant(&product, 0), variant(&product, 1));
    let ada = shop.customer();
    ada.adds(&tote, 10).await.expect_status(200);
    ada.adds(&other, 1).await.expect_status(200);
    let event = ordered(ada.id, &tote, 3);
    shop.events.publish(&event).await;
    shop.events.publish(&event).await;
    // On the same partition, behind the two, because the key is the same: when its effect is seen, theirs is too.
    let mut last = ordered(ada.id, &other, 1);
    last.subject.clone_from(&event.subject);
    shop.events.publish(&last).await;
    eventually("the last event is taken", || async { shop.lines(ada.id).await.len() == 1 }).await;
    assert_eq!(shop.lines(ada.id).await, [(tote, 7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_message_goes_to_the_dead_letters_and_the_next_event_is_taken() {
    let shop = Shop::open().await;
    let tote = variant(&shop.sell("TOTE", 100, 1).await, 0);
    let ada = shop.customer();
    ada.adds(&tote, 2).await.expect_status(200);
    let event = ordered(ada.id, &tote, 2);
    shop.events.publish_raw::<OrderEvent>(&event.subject, b"no event").await;
    shop.events.publish(&event).await;
    eventually("the cart is emptied", || async { shop.lines(ada.id).await.is_empty() }).await;
    assert_eq!(shop.events.subscribe_to(DEAD_LETTERS).next_raw().await, b"no event");
}
