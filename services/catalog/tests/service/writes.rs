//! Changing products, and taking them out.

use futures::future::join_all;
use serde_json::json;
use testkit::unique;
use types::{ProductId, UserId};

use crate::shop::{Shop, naira, variant};

#[tokio::test]
async fn staff_change_the_product_they_have_read() {
    let shop = Shop::open().await;
    let product = shop.product("Tote", json!({"category": "Bags", "recycled_percent": 80})).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let staff = shop.staff();
    let etag = staff.get(&path).send().await.expect(200).etag();
    let sku = &product["variants"][0]["sku"];
    let change = json!({"variants": [{"sku": sku, "price": naira(199_900)}]});
    staff.patch(&path).json(&change).send().await.expect_problem(428, "precondition_required");
    let changed = staff.patch(&path).if_match(&etag).json(&change).send().await.expect(200);
    let mut expected = product.clone();
    expected["variants"][0]["price"] = naira(199_900);
    assert_eq!(changed.json(), expected);
    staff.patch(&path).if_match(&etag).json(&change).send().await.expect_problem(412, "stale");
    let more = json!({
        "name": "Tote of sails", "category": null, "recycled_percent": null, "co2e_grams": 5, "status": "draft",
        "variants": [{"sku": unique(), "name": "large", "price": naira(1)}],
    });
    let more = staff.patch(&path).if_match(&changed.etag()).json(&more).send().await.expect(200);
    let after = more.json();
    assert_eq!((&after["name"], &after["slug"]), (&json!("Tote of sails"), &product["slug"]));
    assert_eq!(
        (&after["category"], &after["recycled_percent"], &after["co2e_grams"]),
        (&json!(null), &json!(null), &json!(5))
    );
    assert_eq!((&after["status"], after["variants"].as_array().unwrap().len()), (&json!("draft"), 2));
    let read = staff.get(&path).send().await.expect(200);
    assert_eq!((read.json(), read.etag()), (after, more.etag()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_have_read_the_same_product_one_changes_it() {
    let shop = Shop::open().await;
    let product = shop.product("Tote", json!({})).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let staff = shop.staff();
    for round in 0..5 {
        let etag = staff.get(&path).send().await.etag();
        let change = |number: i64| staff.patch(&path).if_match(&etag).json(&json!({"co2e_grams": number})).send();
        let answers = join_all((0..20).map(change)).await;
        let count = |status: u16| answers.iter().filter(|answer| answer.status.as_u16() == status).count();
        assert_eq!((count(200), count(412)), (1, 19), "in round {round}");
    }
}

#[tokio::test]
async fn a_code_of_another_product_cannot_be_added() {
    let shop = Shop::open().await;
    let (tote, lamp) = (shop.product("Tote", json!({})).await, shop.product("Lamp", json!({})).await);
    let path = format!("/api/products/{}", tote["id"].as_str().unwrap());
    let change = json!({"name": "New", "variants": [{"sku": lamp["variants"][0]["sku"], "price": naira(1)}]});
    shop.staff().patch(&path).if_match("*").json(&change).send().await.expect_problem(409, "sku_taken");
    assert_eq!(shop.server.client().get(&path).send().await.json(), tote);
}

#[tokio::test]
async fn an_archived_product_is_for_staff_only_and_not_for_sale() {
    let shop = Shop::open().await;
    let product = shop.product("Tote", json!({})).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let (staff, guest) = (shop.staff(), shop.server.client());
    let id = product["variants"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.variants(vec![id.clone()]).await.unwrap().len(), 1);
    staff.delete(&path).send().await.expect_problem(428, "precondition_required");
    staff.delete(&path).if_match("\"99\"").send().await.expect_problem(412, "stale");
    staff.delete(&path).if_match("\"1\"").send().await.expect_status(204);
    staff.delete(&path).if_match("\"2\"").send().await.expect_status(204);
    guest.get(&path).send().await.expect_problem(404, "not_found");
    guest.get("/api/products/tote").send().await.expect_problem(404, "not_found");
    assert_eq!(staff.get(&path).send().await.expect(200).json()["status"], "archived");
    assert_eq!(shop.names("/api/products").await, [""; 0]);
    assert_eq!(shop.names("/api/search?q=tote").await, [""; 0]);
    assert_eq!(shop.variants(vec![id]).await.unwrap(), []);
}

#[tokio::test]
async fn drafts_are_for_staff() {
    let shop = Shop::open().await;
    let product = shop.product("Tote", json!({"status": "draft"})).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let guest = shop.server.client();
    let customer = guest.bearer(shop.issuer.customer(UserId::new()));
    for client in [&guest, &customer] {
        client.get(&path).send().await.expect_problem(404, "not_found");
        client.get("/api/products?status=draft").send().await.expect_problem(403, "forbidden");
    }
    let drafts = shop.staff().get("/api/products?status=draft").send().await.expect(200).json();
    assert_eq!(drafts["items"], json!([product]));
}

#[tokio::test]
async fn only_staff_change_products() {
    let shop = Shop::open().await;
    let product = shop.product("Tote", json!({})).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let guest = shop.server.client();
    let customer = guest.bearer(shop.issuer.customer(UserId::new()));
    let change = json!({"name": "Mine"});
    guest.patch(&path).if_match("*").json(&change).send().await.expect_problem(401, "login_required");
    customer.patch(&path).if_match("*").json(&change).send().await.expect_problem(403, "forbidden");
    guest.delete(&path).if_match("*").send().await.expect_problem(401, "login_required");
    customer.delete(&path).if_match("*").send().await.expect_problem(403, "forbidden");
    assert_eq!(guest.get(&path).send().await.expect(200).json(), product);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_changed() {
    let shop = Shop::open().await;
    let staff = shop.staff();
    for id in [ProductId::new().to_string(), "tote".to_owned(), "%00".to_owned(), "%ff".to_owned(), "a".repeat(5000)] {
        let path = format!("/api/products/{id}");
        staff.get(&path).send().await.expect_problem(404, "not_found");
        staff.patch(&path).if_match("*").json(&json!({})).send().await.expect_problem(404, "not_found");
        staff.delete(&path).if_match("*").send().await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_change_with_a_key_is_made_once() {
    let shop = Shop::open().await;
    let product = shop.product("Tote", json!({})).await;
    let path = format!("/api/products/{}", product["id"].as_str().unwrap());
    let staff = shop.staff();
    let change = json!({"variants": [variant()]});
    let send =
        async || staff.patch(&path).if_match("\"1\"").idempotency_key("k").json(&change).send().await.expect(200);
    let (first, again) = (send().await, send().await);
    assert_eq!((first.body.clone(), first.etag()), (again.body.clone(), again.etag()));
}
