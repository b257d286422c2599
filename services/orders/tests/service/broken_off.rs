//! Checkouts that break off between two of their steps.

use testkit::{Client, eventually};

use crate::shop::{Customer, Shop, checkout};

/// Makes the last step fail, as a database that shuts down does.
const BREAK: &str = "create function broken() returns trigger language plpgsql as
    $$ begin raise exception 'shutting down' using errcode = '57P01'; end $$;
    create trigger broken before insert on orders for each row execute function broken()";
const MEND: &str = "drop trigger broken on orders";

async fn run(shop: &Shop, sql: &'static str) {
    sqlx::raw_sql(sql).execute(shop.database.pool()).await.unwrap();
}

/// A checkout whose stock is held and whose order could not be written.
async fn broken_off(shop: &Shop, ada: &Customer, tote: &str) {
    ada.wants(tote, 2).await;
    run(shop, BREAK).await;
    ada.checks_out("key").send().await.expect_problem(503, "unavailable");
    run(shop, MEND).await;
    assert_eq!(shop.stock(tote).await["reserved"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_broke_off_after_reserving_goes_on_as_it_was_begun() {
    let shop = Shop::open().await;
    let (product, tote) = shop.sell("TOTE", 1_999, 10).await;
    let ada = shop.customer();
    broken_off(&shop, &ada, &tote).await;
    ada.wants(&tote, 5).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let dearer = serde_json::json!({"variants": [{"sku": "TOTE", "price": {"amount": 9_999, "currency": "NGN"}}]});
    shop.merchant().patch(&path).if_match("*").json(&dearer).send().await.expect_status(200);
    let order = ada.checks_out("key").send().await.expect(201).json();
    assert_eq!(order["lines"][0]["quantity"], 2);
    assert_eq!(order["total"]["amount"], 3_998);
    assert_eq!(shop.stock(&tote).await["reserved"], 2);
    eventually("what was ordered leaves the cart", || async {
        ada.items().await.first().is_some_and(|item| item["quantity"] == 5)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_a_process_that_died_is_taken_over_when_its_lease_ends() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let ada = shop.customer();
    broken_off(&shop, &ada, &tote).await;
    run(&shop, "update platform.idempotency set locked_until = now() + interval '30 seconds'").await;
    ada.checks_out("key").send().await.expect_problem(409, "request_in_flight");
    run(&shop, "update platform.idempotency set locked_until = now()").await;
    ada.checks_out("key").send().await.expect_status(201);
    assert_eq!(shop.stock(&tote).await["reserved"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_broke_off_too_long_ago_is_refused_and_its_stock_let_go() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let ada = shop.customer();
    broken_off(&shop, &ada, &tote).await;
    run(&shop, "update checkouts set created_at = now() - interval '6 minutes'").await;
    ada.checks_out("key").send().await.expect_problem(409, "checkout_expired");
    shop.available(&tote, 10).await;
    ada.checks_out("key").send().await.expect_problem(409, "checkout_expired");
    ada.checks_out("another").send().await.expect_status(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_stock_keeper_is_away_a_checkout_waits_and_changes_nothing() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 10).await;
    let ada = shop.customer();
    ada.wants(&tote, 1).await;
    let Shop { inventory, orders, issuer, .. } = shop;
    inventory.stop().await;
    let client: Client = orders.client().bearer(issuer.customer(ada.id));
    for _ in 0..2 {
        let answer = client.post("/api/orders").idempotency_key("key").json(&checkout()).send().await;
        answer.expect_problem(503, "unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    let list = client.get("/api/orders").send().await.expect(200).json();
    assert_eq!(list["items"], serde_json::json!([]));
}
