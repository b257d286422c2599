//! What comes from Kafka and what goes there.

use events::{
    CancellationReason, CatalogEvent, CloudEvent, InventoryEvent, OrderCancelled, OrderEvent, ProductData,
    StockChanged, VariantData,
};
use testkit::eventually;
use types::{Money, OrderId, ProductId, Slug, UserId, VariantId};

use crate::shop::{Shop, is_reserved};

fn cancelled(order_id: OrderId) -> CloudEvent<OrderEvent> {
    let reason = CancellationReason::PaymentTimeout;
    let event = OrderEvent::Cancelled(OrderCancelled { order_id, customer_id: UserId::new(), reason });
    CloudEvent::new(event, "2026-01-01T00:00:00Z".parse().unwrap(), None)
}

fn product(variants: &[VariantId]) -> CloudEvent<CatalogEvent> {
    let variant = |id: &VariantId| VariantData {
        variant_id: *id,
        sku: "TOTE".parse().unwrap(),
        price: Money::zero("NGN".parse().unwrap()),
    };
    let product = ProductData {
        product_id: ProductId::new(),
        slug: Slug::from_title("Tote"),
        name: "Tote".parse().unwrap(),
        version: 1,
        variants: variants.iter().map(variant).collect(),
    };
    CloudEvent::new(CatalogEvent::Created(product), "2026-01-01T00:00:00Z".parse().unwrap(), None)
}

#[tokio::test]
async fn every_change_of_stock_is_announced_with_its_version() {
    let shop = Shop::open().await;
    let announced = shop.events.subscribe::<InventoryEvent>();
    let tote = shop.stocked(5).await;
    let order = OrderId::new();
    shop.reserve(order, &[(tote, 2)]).await.unwrap();
    shop.release(order).await;
    for (reserved, version) in [(0, 1), (2, 2), (0, 3)] {
        let event = announced.next::<InventoryEvent>().await;
        assert_eq!((event.subject.as_str(), event.source.as_str()), (tote.to_string().as_str(), "/services/inventory"));
        let expected = StockChanged { variant_id: tote, on_hand: 5, reserved, available: 5 - reserved, version };
        assert_eq!(event.event, InventoryEvent::StockChanged(expected));
    }
}

#[tokio::test]
async fn a_cancelled_order_lets_its_stock_go_once() {
    let shop = Shop::open().await;
    let tote = shop.stocked(5).await;
    let (order, next) = (OrderId::new(), OrderId::new());
    shop.reserve(order, &[(tote, 2)]).await.unwrap();
    let event = cancelled(order);
    for _ in 0..3 {
        shop.events.publish(&event).await;
    }
    eventually("the release", async || shop.stock(tote).await == (5, 0)).await;
    assert!(is_reserved(&shop.reserve(next, &[(tote, 5)]).await.unwrap()));
    // Behind the repeats on the same partition: once it is taken, they are.
    let last = cancelled(order);
    shop.events.publish(&last).await;
    eventually("the last event", async || {
        let taken = sqlx::query_scalar!("select event_id from platform.inbox where event_id = $1", last.id.as_uuid());
        taken.fetch_optional(shop.database.pool()).await.unwrap().is_some()
    })
    .await;
    assert_eq!(shop.stock(tote).await, (5, 5));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn new_variants_start_without_stock_and_others_keep_theirs() {
    let shop = Shop::open().await;
    let (tote, lamp) = (shop.stocked(5).await, VariantId::new());
    shop.events.publish(&product(&[lamp, tote, lamp])).await;
    eventually("the stock of the new variant", async || shop.read(lamp).await.status.as_u16() == 200).await;
    assert_eq!((shop.stock(lamp).await, shop.stock(tote).await), ((0, 0), (5, 0)));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_put_aside_and_the_next_is_taken() {
    let shop = Shop::open().await;
    let dead = shop.events.subscribe_to(events::DEAD_LETTERS);
    let lamp = VariantId::new();
    let event = product(&[lamp]);
    shop.events.publish_raw::<CatalogEvent>(&event.subject, b"not an event").await;
    shop.events.publish(&event).await;
    eventually("the stock of the new variant", async || shop.read(lamp).await.status.as_u16() == 200).await;
    assert_eq!(dead.next_raw().await, b"not an event");
}
