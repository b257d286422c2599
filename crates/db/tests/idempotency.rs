//! What becomes of a request that is sent more than once.

use std::time::Duration;

use db::idempotency::{Answer, Claim, Request};
use serde_json::json;
use sqlx::migrate::Migrator;
use testkit::TestDatabase;
use uuid::Uuid;

static NONE: Migrator = Migrator::DEFAULT;
const LEASE: Duration = Duration::from_secs(30);

async fn database() -> TestDatabase {
    TestDatabase::new("platform", &NONE).await
}

fn request(content: &str) -> Request {
    Request::new("ada POST /api/orders".to_owned(), "key-1".to_owned(), content.as_bytes())
}

fn answer() -> Answer {
    Answer { status: 201, content: json!({ "z": 1, "a": [1, 2] }) }
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_another_one_is_refused() {
    let test = database().await;
    let database = test.database();
    let mut tx = database.begin("first").await.unwrap();
    assert!(matches!(request("a").claim(&mut tx, Uuid::now_v7(), LEASE).await.unwrap(), Claim::Proceed { .. }));
    assert!(request("a").complete(&mut tx, &answer()).await.unwrap());
    tx.commit().await.unwrap();

    let mut tx = database.begin("again").await.unwrap();
    assert_eq!(request("a").claim(&mut tx, Uuid::now_v7(), LEASE).await.unwrap(), Claim::Replay(answer()));
    assert_eq!(request("b").claim(&mut tx, Uuid::now_v7(), LEASE).await.unwrap(), Claim::Mismatch);
}

#[tokio::test]
async fn what_is_rolled_back_was_never_claimed() {
    let test = database().await;
    let database = test.database();
    let mut tx = database.begin("lost").await.unwrap();
    request("a").claim(&mut tx, Uuid::now_v7(), LEASE).await.unwrap();
    drop(tx);

    let mut tx = database.begin("again").await.unwrap();
    let subject = Uuid::now_v7();
    assert_eq!(request("a").claim(&mut tx, subject, LEASE).await.unwrap(), Claim::Proceed { subject });
}

#[tokio::test]
async fn a_try_that_is_just_being_rolled_back_holds_the_next_one_up_for_a_moment_only() {
    let test = database().await;
    let database = test.database();
    let mut lost = database.begin("lost").await.unwrap();
    request("a").claim(&mut lost, Uuid::now_v7(), LEASE).await.unwrap();

    let mut tx = database.begin("again").await.unwrap();
    let (again, subject) = (request("a"), Uuid::now_v7());
    let roll_back = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(lost);
    };
    let (claim, ()) = futures::join!(again.claim(&mut tx, subject, LEASE), roll_back);
    assert_eq!(claim.unwrap(), Claim::Proceed { subject });
}

#[tokio::test]
async fn of_twenty_twins_one_proceeds_and_the_others_are_told_to_wait_or_get_its_answer() {
    let test = database().await;
    let database = test.database();
    let twins = (0..20).map(|_| {
        let database = database.clone();
        async move {
            let mut tx = database.begin("twin").await.unwrap();
            let claim = request("a").claim(&mut tx, Uuid::now_v7(), LEASE).await.unwrap();
            if matches!(claim, Claim::Proceed { .. }) {
                assert!(request("a").complete(&mut tx, &answer()).await.unwrap());
                tx.commit().await.unwrap();
            }
            claim
        }
    });
    let claims = futures::future::join_all(twins).await;
    assert_eq!(claims.iter().filter(|claim| matches!(claim, Claim::Proceed { .. })).count(), 1);
    assert!(claims.iter().all(|claim| match claim {
        Claim::Replay(given) => *given == answer(),
        Claim::Proceed { .. } | Claim::InFlight => true,
        Claim::Mismatch => false,
    }));
}

#[tokio::test]
async fn a_try_that_broke_off_is_continued_under_its_id_once_its_lease_is_over() {
    let test = database().await;
    let database = test.database();
    let subject = Uuid::now_v7();
    let claim = async |lease: Duration, new: Uuid| {
        let mut tx = database.begin("claim").await.unwrap();
        let claim = request("a").claim(&mut tx, new, lease).await.unwrap();
        tx.commit().await.unwrap();
        claim
    };
    assert_eq!(claim(LEASE, subject).await, Claim::Proceed { subject });
    assert_eq!(claim(LEASE, Uuid::now_v7()).await, Claim::InFlight);

    let mut tx = database.begin("abandon").await.unwrap();
    request("a").abandon(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(claim(Duration::ZERO, Uuid::now_v7()).await, Claim::Proceed { subject });
    assert_eq!(claim(LEASE, Uuid::now_v7()).await, Claim::Proceed { subject });
}

#[tokio::test]
async fn a_try_that_lost_its_claim_cannot_complete() {
    let test = database().await;
    let database = test.database();
    let mut tx = database.begin("first").await.unwrap();
    request("a").claim(&mut tx, Uuid::now_v7(), LEASE).await.unwrap();
    assert!(request("a").complete(&mut tx, &answer()).await.unwrap());
    assert!(!request("a").complete(&mut tx, &answer()).await.unwrap());
}
