//! Who sees which orders.

use serde_json::Value;
use testkit::eventually;

use crate::shop::{Customer, Shop};

async fn order(ada: &Customer, tote: &str, key: &str) -> String {
    ada.wants(tote, 1).await;
    let order = ada.checks_out(key).send().await.expect(201).json();
    eventually("the cart is emptied", || async { ada.items().await.is_empty() }).await;
    order["id"].as_str().unwrap().to_owned()
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_pages_through_their_own_orders_from_the_newest() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1, 100).await;
    let (ada, bola) = (shop.customer(), shop.customer());
    let mut placed = Vec::new();
    for number in 0..3 {
        placed.push(order(&ada, &tote, &number.to_string()).await);
    }
    order(&bola, &tote, "hers").await;
    placed.reverse();
    let first = ada.orders.get("/api/orders?limit=2").send().await.expect(200).json();
    assert_eq!(ids(&first), placed[..2]);
    let next = first["next"].as_str().unwrap();
    let second = ada.orders.get(&format!("/api/orders?limit=2&cursor={next}")).send().await.expect(200).json();
    assert_eq!((ids(&second), &second["next"]), (placed[2..].to_vec(), &Value::Null));
    let cancelled = ada.orders.get("/api/orders?status=cancelled").send().await.expect(200).json();
    assert_eq!(ids(&cancelled), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_see_every_order_and_customers_only_their_own() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1, 100).await;
    let (ada, bola) = (shop.customer(), shop.customer());
    let hers = order(&ada, &tote, "key").await;
    order(&bola, &tote, "key").await;
    let path = format!("/api/orders/{hers}");
    bola.orders.get(&path).send().await.expect_problem(404, "not_found");
    shop.staff().get(&path).send().await.expect_status(200);
    shop.orders.client().get(&path).send().await.expect_problem(401, "login_required");
    let all = shop.staff().get("/api/orders?all=true").send().await.expect(200).json();
    assert_eq!(ids(&all).len(), 2);
    let of_ada = format!("/api/orders?customer_id={}", ada.id);
    assert_eq!(ids(&shop.staff().get(&of_ada).send().await.expect(200).json()), [hers]);
    bola.orders.get(&of_ada).send().await.expect_problem(403, "forbidden");
    bola.orders.get("/api/orders?all=true").send().await.expect_problem(403, "forbidden");
}
