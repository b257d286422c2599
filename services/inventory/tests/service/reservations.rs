//! What orders hold.

use futures::future::join_all;
use rpc::inventory::v1::{ShortLine, reserve_response::Outcome};
use testkit::eventually;
use tonic::Code;
use types::{OrderId, VariantId};

use crate::shop::{Shop, is_reserved};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_orders_racing_for_five_units_get_exactly_five() {
    let shop = Shop::open().await;
    let tote = shop.stocked(5).await;
    let lines = [(tote, 1)];
    let outcomes = join_all((0..200).map(|_| shop.reserve(OrderId::new(), &lines))).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.expect("a clean answer")).collect();
    assert_eq!(outcomes.iter().filter(|outcome| is_reserved(outcome)).count(), 5);
    assert_eq!(shop.stock(tote).await, (5, 5));
    shop.expect_balanced_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_with_crossed_lines_do_not_block_each_other() {
    let shop = Shop::open().await;
    let (tote, lamp) = (shop.stocked(1000).await, shop.stocked(1000).await);
    let (there, back) = ([(tote, 1), (lamp, 2)], [(lamp, 1), (tote, 2)]);
    let orders = (0..100).map(|number| shop.reserve(OrderId::new(), if number % 2 == 0 { &there } else { &back }));
    for outcome in join_all(orders).await {
        assert!(is_reserved(&outcome.expect("a clean answer")));
    }
    assert_eq!((shop.stock(tote).await, shop.stock(lamp).await), ((1000, 150), (1000, 150)));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn all_lines_are_held_or_none() {
    let shop = Shop::open().await;
    let (tote, lamp, unknown) = (shop.stocked(5).await, shop.stocked(1).await, VariantId::new());
    let outcome = shop.reserve(OrderId::new(), &[(tote, 1), (lamp, 1), (lamp, 1), (unknown, 1)]).await.unwrap();
    let Outcome::Short(short) = outcome else { panic!("more was reserved than there is") };
    let line = |id: VariantId, requested, available| ShortLine { variant_id: id.to_string(), requested, available };
    assert_eq!(short.lines, [line(lamp, 2, 1), line(unknown, 1, 0)]);
    assert_eq!((shop.stock(tote).await, shop.stock(lamp).await), ((5, 0), (1, 0)));
    shop.expect_balanced_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_asks_many_times_at_once_holds_its_stock_once() {
    let shop = Shop::open().await;
    let tote = shop.stocked(3).await;
    let (order, lines) = (OrderId::new(), [(tote, 3)]);
    for outcome in join_all((0..20).map(|_| shop.reserve(order, &lines))).await {
        assert!(is_reserved(&outcome.expect("a clean answer")));
    }
    assert_eq!(shop.stock(tote).await, (3, 3));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn an_order_that_asks_again_with_other_lines_holds_those() {
    let shop = Shop::open().await;
    let (tote, lamp) = (shop.stocked(3).await, shop.stocked(3).await);
    let order = OrderId::new();
    assert!(is_reserved(&shop.reserve(order, &[(tote, 3)]).await.unwrap()));
    assert!(is_reserved(&shop.reserve(order, &[(tote, 1), (lamp, 2)]).await.unwrap()));
    assert_eq!((shop.stock(tote).await, shop.stock(lamp).await), ((3, 1), (3, 2)));
    assert!(!is_reserved(&shop.reserve(order, &[(lamp, 4)]).await.unwrap()));
    assert_eq!((shop.stock(tote).await, shop.stock(lamp).await), ((3, 0), (3, 0)));
    shop.expect_balanced_books().await;
    assert!(is_reserved(&shop.reserve(order, &[(lamp, 3)]).await.unwrap()));
}

#[tokio::test]
async fn a_release_may_be_repeated_and_is_for_good() {
    let shop = Shop::open().await;
    let tote = shop.stocked(5).await;
    let order = OrderId::new();
    shop.reserve(order, &[(tote, 2)]).await.unwrap();
    shop.release(order).await;
    shop.release(order).await;
    assert_eq!(shop.stock(tote).await, (5, 0));
    assert_eq!(shop.reserve(order, &[(tote, 2)]).await, Err(Code::FailedPrecondition));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn what_was_released_before_it_was_reserved_cannot_be_reserved() {
    let shop = Shop::open().await;
    let tote = shop.stocked(5).await;
    let order = OrderId::new();
    shop.release(order).await;
    assert_eq!(shop.reserve(order, &[(tote, 2)]).await, Err(Code::FailedPrecondition));
    assert_eq!(shop.stock(tote).await, (5, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_reserve_and_release_at_once_leave_nothing_behind() {
    let shop = Shop::open().await;
    let (tote, lamp) = (shop.stocked(10).await, shop.stocked(10).await);
    let shop = &shop;
    let orders = (0..60).map(|number| async move {
        let order = OrderId::new();
        let lines = if number % 2 == 0 { [(tote, 1), (lamp, 1)] } else { [(lamp, 2), (tote, 1)] };
        let (reserved, ()) = futures::join!(shop.reserve(order, &lines), shop.release(order));
        assert!(matches!(reserved, Ok(_) | Err(Code::FailedPrecondition)), "{reserved:?}");
    });
    join_all(orders).await;
    assert_eq!((shop.stock(tote).await, shop.stock(lamp).await), ((10, 0), (10, 0)));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn a_reservation_ends_by_the_databases_clock() {
    let shop = Shop::open().await;
    let tote = shop.stocked(1).await;
    let order = OrderId::new();
    shop.reserve_for(order, &[(tote, 1)], 1).await.unwrap();
    assert_eq!(shop.stock(tote).await, (1, 1));
    eventually("the release of an expired reservation", async || shop.stock(tote).await == (1, 0)).await;
    assert_eq!(shop.reserve(order, &[(tote, 1)]).await, Err(Code::FailedPrecondition));
    assert!(is_reserved(&shop.reserve(OrderId::new(), &[(tote, 1)]).await.unwrap()));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn asking_again_makes_a_reservation_hold_longer() {
    let shop = Shop::open().await;
    let tote = shop.stocked(1).await;
    let (order, other) = (OrderId::new(), OrderId::new());
    shop.reserve_for(order, &[(tote, 1)], 2).await.unwrap();
    shop.reserve_for(order, &[(tote, 1)], 600).await.unwrap();
    let lamp = shop.stocked(1).await;
    shop.reserve_for(other, &[(lamp, 1)], 2).await.unwrap();
    eventually("the release of the other reservation", async || shop.stock(lamp).await == (1, 0)).await;
    assert_eq!(shop.stock(tote).await, (1, 1));
}

#[tokio::test]
async fn a_variant_that_has_stock_keeps_it() {
    let shop = Shop::open().await;
    let tote = shop.stocked(5).await;
    shop.initialize(tote, 7).await;
    assert_eq!(shop.stock(tote).await, (5, 0));
    shop.expect_balanced_books().await;
}

#[tokio::test]
async fn absurd_requests_are_refused() {
    let shop = Shop::open().await;
    let tote = shop.stocked(5).await;
    let order = OrderId::new();
    let many: Vec<_> = (0..201).map(|_| (VariantId::new(), 1)).collect();
    for lines in [&[][..], &[(tote, 0)], &[(tote, u32::MAX)], &[(tote, u32::MAX), (tote, u32::MAX)], &many] {
        assert_eq!(shop.reserve(order, lines).await, Err(Code::InvalidArgument));
    }
    for ttl in [0, u32::MAX] {
        assert_eq!(shop.reserve_for(order, &[(tote, 1)], ttl).await, Err(Code::InvalidArgument));
    }
    assert_eq!(shop.stock(tote).await, (5, 0));
}
