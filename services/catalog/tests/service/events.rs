//! What comes from Kafka and from other services, and what goes there.

use events::{CatalogEvent, CloudEvent, InventoryEvent, StockChanged};
use serde_json::{Value, json};
use testkit::eventually;
use tonic::Code;
use types::VariantId;

use crate::shop::{Shop, naira};

fn variant_id(product: &Value) -> VariantId {
    product["variants"][0]["id"].as_str().unwrap().parse().unwrap()
}

fn stock_changed(variant_id: VariantId, available: i64, version: i64) -> CloudEvent<InventoryEvent> {
    let stock = StockChanged { variant_id, on_hand: available, reserved: 0, available, version };
    CloudEvent::new(InventoryEvent::StockChanged(stock), "2026-01-01T00:00:00Z".parse().unwrap(), None)
}

async fn available(shop: &Shop, product: &Value) -> i64 {
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let product = shop.server.client().get(&path).send().await.expect(200).json();
    product["variants"][0]["available"].as_i64().unwrap()
}

#[tokio::test]
async fn every_change_of_a_product_is_announced() {
    let shop = Shop::open().await;
    let announced = shop.events.subscribe::<CatalogEvent>();
    let product = shop.product("Tote", json!({})).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let change = json!({"variants": [{"sku": product["variants"][0]["sku"], "price": naira(5)}]});
    shop.staff().patch(&path).if_match("\"1\"").json(&change).send().await.expect_status(200);
    shop.staff().delete(&path).if_match("\"2\"").send().await.expect_status(204);
    let CatalogEvent::Created(created) = announced.next::<CatalogEvent>().await.event else { panic!("not created") };
    assert_eq!((json!(created.product_id), created.version), (product["id"].clone(), 1));
    let CatalogEvent::Updated(updated) = announced.next::<CatalogEvent>().await.event else { panic!("not updated") };
    assert_eq!((json!(updated.variants[0].price), updated.version), (naira(5), 2));
    let CatalogEvent::Removed(removed) = announced.next::<CatalogEvent>().await.event else { panic!("not removed") };
    assert_eq!(removed.variant_ids, [variant_id(&product)]);
}

#[tokio::test]
async fn what_can_be_ordered_follows_inventory_and_ignores_what_is_stale() {
    let shop = Shop::without_inventory().await;
    let product = shop.product("Tote", json!({})).await;
    let variant_id = variant_id(&product);
    shop.events.publish(&stock_changed(variant_id, 5, 7)).await;
    eventually("the stock", async || available(&shop, &product).await == 5).await;
    let marker = shop.product("Marker", json!({})).await;
    for (stale, marked) in [((9, 6), 1), ((9, 7), 2)] {
        shop.events.publish(&stock_changed(variant_id, stale.0, stale.1)).await;
        // Under the same key, so that it is taken after the stale one.
        let event = stock_changed(self::variant_id(&marker), marked, marked);
        shop.events.publish_raw::<InventoryEvent>(&variant_id.to_string(), &event.encode()).await;
        eventually("the marker", async || available(&shop, &marker).await == marked).await;
        assert_eq!(available(&shop, &product).await, 5);
    }
    shop.events.publish(&stock_changed(variant_id, 3, 8)).await;
    eventually("the newer stock", async || available(&shop, &product).await == 3).await;
}

#[tokio::test]
async fn what_inventory_says_of_a_variant_before_it_is_written_is_not_lost() {
    let shop = Shop::open().await;
    let variants = json!([{"sku": testkit::unique(), "price": naira(1), "stock": 5}]);
    let product = shop.product("Tote", json!({"variants": variants})).await;
    assert_eq!(available(&shop, &product).await, 5);
    let path = format!("/api/inventory/{}/adjustments", variant_id(&product));
    let change = json!({"delta": 4, "reason": "delivery"});
    shop.inventory().post(&path).if_match("*").json(&change).send().await.expect_status(200);
    eventually("the adjusted stock", async || available(&shop, &product).await == 9).await;
}

#[tokio::test]
async fn a_variant_without_first_stock_gets_its_place_in_inventory() {
    let shop = Shop::open().await;
    let product = shop.product("Tote", json!({})).await;
    let path = format!("/api/inventory/{}", variant_id(&product));
    eventually("its stock", async || shop.inventory().get(&path).send().await.status.as_u16() == 200).await;
}

#[tokio::test]
async fn other_services_get_current_prices_of_what_is_for_sale() {
    let shop = Shop::open().await;
    let variants = json!([{"sku": "TOTE-BLUE", "name": "blue", "price": naira(250)}]);
    let product = shop.product("Tote", json!({"variants": variants})).await;
    let draft = shop.product("Draft", json!({"status": "draft"})).await;
    let id = variant_id(&product).to_string();
    let ids = vec![id.clone(), id.clone(), variant_id(&draft).to_string(), VariantId::new().to_string()];
    let told = shop.variants(ids).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].variant_id.as_str(), told[0].sku.as_str(), told[0].name.as_str()),
        (id.as_str(), "TOTE-BLUE", "Tote, blue")
    );
    let price = told[0].price.as_ref().unwrap();
    assert_eq!((price.amount, price.currency.as_str()), (250, "NGN"));
    let many = (0..201).map(|_| VariantId::new().to_string()).collect();
    assert_eq!(shop.variants(many).await, Err(Code::InvalidArgument));
    assert_eq!(shop.variants(vec!["tote".to_owned()]).await, Err(Code::InvalidArgument));
}
