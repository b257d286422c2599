//! Lists, in pages.

use serde_json::json;

use crate::shop::Shop;

async fn pages(shop: &Shop, path: &str) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let next = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = shop.server.client().get(&format!("{path}{next}")).send().await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return names,
        }
    }
}

#[tokio::test]
async fn products_come_newest_first_or_by_name_whatever_the_page() {
    let shop = Shop::open().await;
    for name in ["Tote", "apron", "Lamp", "Lamp", "bench"] {
        shop.product(name, json!({})).await;
    }
    for limit in [1, 2, 5, 100] {
        let newest = pages(&shop, &format!("/api/products?limit={limit}")).await;
        assert_eq!(newest, ["bench", "Lamp", "Lamp", "apron", "Tote"]);
        let by_name = pages(&shop, &format!("/api/products?sort=name&limit={limit}")).await;
        assert_eq!(by_name, ["apron", "bench", "Lamp", "Lamp", "Tote"]);
    }
}

#[tokio::test]
async fn a_list_shows_one_category() {
    let shop = Shop::open().await;
    for (name, category) in [("Tote", "Bags & more"), ("Lamp", "Light"), ("Pouch", "bags & more")] {
        shop.product(name, json!({"category": category})).await;
    }
    shop.product("Draft", json!({"category": "Light", "status": "draft"})).await;
    for category in ["bags-more", "Bags%20%26%20more"] {
        assert_eq!(pages(&shop, &format!("/api/products?limit=1&category={category}")).await, ["Pouch", "Tote"]);
        assert_eq!(
            pages(&shop, &format!("/api/products?limit=1&sort=name&category={category}")).await,
            ["Pouch", "Tote"]
        );
    }
    assert_eq!(pages(&shop, "/api/products?category=none").await, [""; 0]);
    let categories = shop.server.client().get("/api/categories").send().await.expect(200).json();
    let expected = json!([
        {"slug": "bags-more", "name": "Bags & more", "products": 2},
        {"slug": "light", "name": "Light", "products": 1},
    ]);
    assert_eq!((&categories["items"], &categories["next"]), (&expected, &json!(null)));
    assert_eq!(pages(&shop, "/api/categories?limit=1").await, ["Bags & more", "Light"]);
}

#[tokio::test]
async fn categories_that_differ_only_in_what_a_slug_leaves_out_are_two() {
    let shop = Shop::open().await;
    for category in ["Дом", "Сад"] {
        shop.product(category, json!({"category": category})).await;
    }
    let categories = shop.server.client().get("/api/categories").send().await.expect(200).json();
    for category in categories["items"].as_array().unwrap() {
        let path = format!("/api/products?category={}", category["slug"].as_str().unwrap());
        assert_eq!(pages(&shop, &path).await, [category["name"].as_str().unwrap()]);
    }
}

#[tokio::test]
async fn parameters_that_are_none_are_refused() {
    let shop = Shop::open().await;
    let foreign = types::Cursor(("a\0b".to_owned(), types::ProductId::new())).encode();
    let cases = [
        ("/api/products?limit=0".to_owned(), "invalid_query"),
        ("/api/products?limit=101".to_owned(), "invalid_query"),
        ("/api/products?limit=99999999999999999999".to_owned(), "invalid_query"),
        ("/api/products?sort=price".to_owned(), "invalid_query"),
        ("/api/products?status=sold".to_owned(), "invalid_query"),
        ("/api/products?page=2".to_owned(), "invalid_query"),
        ("/api/products?category=%00".to_owned(), "invalid_query"),
        ("/api/products?cursor=junk".to_owned(), "invalid_cursor"),
        (format!("/api/products?cursor={foreign}"), "invalid_cursor"),
        (format!("/api/products?sort=name&cursor={foreign}"), "invalid_cursor"),
        (format!("/api/categories?cursor={}", types::Cursor("\0").encode()), "invalid_cursor"),
        ("/api/search".to_owned(), "invalid_query"),
    ];
    for (path, code) in cases {
        shop.server.client().get(&path).send().await.expect_problem(400, code);
    }
}
