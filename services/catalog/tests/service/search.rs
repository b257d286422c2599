//! Search.

use serde_json::json;

use crate::shop::{Shop, naira};

async fn shop() -> Shop {
    let shop = Shop::open().await;
    let products = [
        ("Lamp of bottles", "Glass that was thrown away, with a tote to carry it.", "Light", "LAMP-1"),
        ("Tote of old sails", "Carries everything.", "Bags", "TOTE-1"),
        ("Recycled notebook", "Paper from offices.", "Paper", "BOOK-1"),
        ("Bench", "From pallets.", "Furniture", "BENCH-1"),
    ];
    for (name, description, category, sku) in products {
        let variants = json!([{"sku": sku, "price": naira(100)}]);
        shop.product(name, json!({"description": description, "category": category, "variants": variants})).await;
    }
    shop.product("Tote in secret", json!({"status": "draft"})).await;
    shop
}

#[tokio::test]
async fn the_best_match_comes_first() {
    let shop = shop().await;
    let cases: [(&str, &[&str]); 10] = [
        ("tote", &["Tote of old sails", "Lamp of bottles"]),
        ("TOTES", &["Tote of old sails", "Lamp of bottles"]),
        ("old+tote", &["Tote of old sails", "Lamp of bottles"]),
        ("recyc", &["Recycled notebook"]),
        ("bench-1", &["Bench"]),
        ("furniture", &["Bench"]),
        ("recyled", &["Recycled notebook"]),
        ("notebok", &["Recycled notebook"]),
        ("zzzzzz", &[]),
        ("%20%20", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(shop.names(&format!("/api/search?q={text}")).await, expected, "{text}");
    }
    assert_eq!(shop.names("/api/search?q=tote&limit=1").await, ["Tote of old sails"]);
}

#[tokio::test]
async fn no_text_breaks_the_search() {
    let shop = shop().await;
    let guest = shop.server.client();
    let texts =
        ["'", "\"a\" & !b", ":*", "a <-> (b | c)", "\\", "%_%", "the", "ß ﬁ İ", "😀", "𝟙 ² ª", "--;/*", "1:2:3"];
    for text in texts {
        let encoded = text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        guest.get(&format!("/api/search?q={encoded}")).send().await.expect_status(200);
    }
    guest.get("/api/search?q=%00").send().await.expect_problem(422, "validation_failed");
    let long = "a".repeat(201);
    guest.get(&format!("/api/search?q={long}")).send().await.expect_problem(422, "validation_failed");
    let words = "a+".repeat(100);
    guest.get(&format!("/api/search?q={words}")).send().await.expect_status(200);
}
