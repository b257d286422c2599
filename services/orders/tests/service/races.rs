//! Many at once.

use std::collections::HashSet;

use futures::future::join_all;
use testkit::Answer;

use crate::shop::{Customer, Shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forty_buyers_of_five_units_get_exactly_five() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 5).await;
    let buyers: Vec<_> = (0..40).map(|_| shop.customer()).collect();
    join_all(buyers.iter().map(|buyer| buyer.wants(&tote, 1))).await;
    let answers = join_all(buyers.iter().map(answered)).await;
    let placed = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(placed, 5);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.expect_problem(409, "out_of_stock");
    }
    let stock = shop.stock(&tote).await;
    assert_eq!((&stock["available"], &stock["reserved"]), (&0.into(), &5.into()));
    let numbers: HashSet<_> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.json()["number"].to_string())
        .collect();
    assert_eq!(numbers.len(), 5);
}

/// The answer to a checkout. A service that has too much to do says so, and is asked again under the same key.
async fn answered(buyer: &Customer) -> Answer {
    let mut answer = buyer.checks_out("mine").send().await;
    for _ in 0..30 {
        if !matches!(answer.status.as_u16(), 503 | 504) {
            break;
        }
        answer = buyer.checks_out("mine").send().await;
    }
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twins_of_one_checkout_make_one_order() {
    let shop = Shop::open().await;
    let (_, tote) = shop.sell("TOTE", 1_999, 50).await;
    let ada = shop.customer();
    ada.wants(&tote, 2).await;
    let answers = join_all((0..20).map(|_| ada.checks_out("one").send())).await;
    let mut placed = HashSet::new();
    for answer in &answers {
        if answer.status == 201 {
            placed.insert(answer.text());
        } else {
            answer.expect_problem(409, "request_in_flight");
        }
    }
    assert_eq!(placed.len(), 1);
    let again = ada.checks_out("one").send().await.expect(201);
    assert!(placed.contains(&again.text()));
    assert_eq!(shop.stock(&tote).await["reserved"], 2);
    let list = ada.orders.get("/api/orders").send().await.expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}
