//! Releases that do not work, and stores that sleep: shoppers notice nothing of the first and lose nothing in the second.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{CLAIMS, Cluster, Crowd, DEPLOYMENTS, Lies, PODS, Seen, Store, unique, wait_until, xtask};
use serde_json::{Value, json};

use crate::release::{Later, Release};

const READY: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_pods_never_get_ready_is_taken_back_and_not_tried_again() -> Result<()> {
    let cluster = Cluster::alone().await?;
    load_releases().await?;
    let trial = Trial::begin(&cluster).await?;

    // When a store is to run a release whose migrations work and whose services never answer
    let store = trial.run("never-ready").await?;
    let condition = told(&store, &["UpgradeRolledBack"]).await;

    // Then every service runs the release before it, the status says why, and the history remembers.
    let images = images(&store).await;
    let status = store.get().await?["status"].clone();
    let again = store.set_service(json!({"name": "catalog", "replicas": 1})).await?;
    let still = told(&store, &["UpgradeRolledBack"]).await;
    store.set_services(again).await?;
    let before = trial.end().await?;
    let condition = condition?;
    ensure!(condition["message"].as_str().is_some_and(|text| text.contains("no progress")), "{condition}");
    assert_eq!(images?, before);
    assert_eq!(
        (&status["history"][0]["result"], &status["history"][1]["result"]),
        (&json!("RolledBack"), &json!("Succeeded"))
    );
    assert!(status["conditions"].as_array().is_some_and(|all| {
        all.iter().any(|condition| condition["type"] == "Degraded" && condition["status"] == "True")
    }));
    // Another number of pods does not make the release better.
    still.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_migration_fails_or_that_no_registry_has_changes_no_service() -> Result<()> {
    let cluster = Cluster::alone().await?;
    load_releases().await?;
    let trial = Trial::begin(&cluster).await?;

    // When a store is to run a release whose migrations fail, and one that no registry has
    let store = trial.run("failing-migration").await?;
    let failed = told(&store, &["MigrationFailed"]).await;
    let after_failure = images(&store).await;
    let store = trial.run(&unique("no-such")).await?;
    let missing = told(&store, &["ImagePullFailed"]).await;
    let after_missing = images(&store).await;

    // Then no service has changed, and the status says what the migration said, and which image is not there.
    let before = trial.end().await?;
    let failed = failed?;
    ensure!(failed["message"].as_str().is_some_and(|text| text.contains("does not exist")), "{failed}");
    let missing = missing?;
    ensure!(missing["message"].as_str().is_some_and(|text| text.contains("no-such")), "{missing}");
    assert_eq!((after_failure?, after_missing?), (before.clone(), before));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_work_with_what_a_later_one_left_is_refused_and_changes_no_service() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let trial = Trial::begin(&cluster).await?;
    // Given a catalogue from which a later release has taken something
    let store = cluster.store().await?;
    let (release, later) = (Release::like_that_of(&store, &cluster).await?, Later::cuts(&store).await?);

    // When the store is to run an earlier one
    trial.run(&release.tag).await?;
    let refused = told(&store, &["DowngradeRefused"]).await;
    let after = images(&store).await;

    // Then no service has changed, and the status says which database is in whose way.
    later.undo().await?;
    let before = trial.end().await?;
    release.remove(&cluster).await?;
    let refused = refused?;
    for part in ["catalog", "contract drop the former price"] {
        ensure!(refused["message"].as_str().is_some_and(|text| text.contains(part)), "{refused}");
    }
    assert_eq!(after?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_sleeps_runs_no_pod_and_wakes_with_all_its_data() -> Result<()> {
    let cluster = Cluster::alone().await?;
    // Given a store with a product in somebody's cart
    let store = cluster.store().await?;
    store.wait_ready(READY).await?;
    let product = cluster.staff().await?.product("Pillow of old jeans", 9_000, 10).await?;
    let customer = cluster.shop()?.customer("Ngozi").await?;
    customer.shop.put_into_cart(&product, 3).await?;
    let cart = customer.shop.get("/api/cart").send().await?.expect(200)?.body;
    let claims = store.space().names(CLAIMS).await?;

    // When it is suspended
    store.patch(&json!({"spec": {"suspend": true}})).await?;
    let asleep = wait_until(store.space(), "the store to sleep", READY, async || {
        let store = store.get().await?;
        let suspended = condition(&store, "Suspended");
        Ok(Seen::when(suspended["status"] == "True", suspended.to_string()))
    })
    .await;
    let pods = store.space().select(PODS, &format!("greencommerce.dev/store={}", store.name())).await;
    let kept = store.space().names(CLAIMS).await;

    // Then no pod is left, and every volume;
    store.patch(&json!({"spec": {"suspend": false}})).await?;
    let awake = store.wait_ready(READY).await;
    asleep?;
    let left: Vec<Value> =
        pods?.iter().filter(|pod| is_alive(pod)).map(|pod| pod["metadata"]["name"].clone()).collect();
    assert_eq!(left, Vec::<Value>::new());
    assert_eq!(kept?, claims);

    // and when it wakes, the cart is as it was. The nodes learn of the gateway's pods a moment after these are ready.
    awake?;
    let as_it_was = wait_until(store.space(), "the cart to be shown again", READY, async || {
        let now = customer.shop.get("/api/cart").send().await?.expect(200)?.body;
        Ok(Seen::Yes(now == cart))
    })
    .await?;
    assert!(as_it_was, "the cart has changed");
    Ok(())
}

/// Releases that do not work, on every node.
async fn load_releases() -> Result<()> {
    tokio::task::spawn_blocking(|| xtask(&["images", "--recipes", "e2e/images", "--load"])).await??;
    Ok(())
}

/// A store under load that is to run what does not work.
struct Trial {
    store: Store,
    crowd: Crowd,
    spec: Value,
    images: BTreeSet<String>,
    lies: Lies,
}

impl Trial {
    async fn begin(cluster: &Cluster) -> Result<Self> {
        let store = cluster.store().await?;
        let spec = store.wait_ready(READY).await?["spec"].clone();
        let images = images(&store).await?;
        let crowd = Crowd::enter(cluster).await?;
        let lies = Lies::watch_for(&store);
        Ok(Self { store, crowd, spec, images, lies })
    }

    /// Asks for the release, which gets little time.
    async fn run(&self, tag: &str) -> Result<Store> {
        let upgrade = json!({"migrationTimeout": "20s", "progressDeadline": "20s"});
        self.store.patch(&json!({"spec": {"image": {"tag": tag}, "upgrade": upgrade}})).await?;
        Ok(self.store.clone())
    }

    /// Goes back by hand. No request has failed, and no condition was wrong at any time. Gives the images of before.
    async fn end(self) -> Result<BTreeSet<String>> {
        let Self { store, crowd, spec, images, lies } = self;
        store.patch(&json!({"spec": {"image": {"tag": spec["image"]["tag"]}, "upgrade": spec["upgrade"]}})).await?;
        let settled = store.wait_ready(READY).await;
        let report = crowd.leave().await?;
        assert_eq!(lies.told().await?, Vec::<String>::new());
        report.expect_no_failure()?;
        settled?;
        assert_eq!(self::images(&store).await?, images);
        Ok(images)
    }
}

/// Waits until the store says, of its present generation, that it does not run what it should for one of these reasons.
async fn told(store: &Store, reasons: &[&str]) -> Result<Value> {
    wait_until(store.space(), &format!("one of {reasons:?}"), READY, async || {
        let store = store.get().await?;
        let upgraded = condition(&store, "Upgraded");
        let ready = condition(&store, "Ready");
        let current = ready["observedGeneration"] == store["metadata"]["generation"];
        let told = current
            && ready["status"] == "False"
            && reasons.iter().any(|reason| upgraded["reason"] == *reason && ready["reason"] == *reason);
        Ok(if told { Seen::Yes(upgraded) } else { Seen::NotYet(format!("{ready} {upgraded}")) })
    })
    .await
}

fn condition(store: &Value, kind: &str) -> Value {
    let conditions = store["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|condition| condition["type"] == kind)).cloned().unwrap_or_default()
}

fn is_alive(pod: &Value) -> bool {
    pod["status"]["phase"] != "Succeeded" && pod["status"]["phase"] != "Failed"
}

async fn images(store: &Store) -> Result<BTreeSet<String>> {
    let deployments = store.space().list(DEPLOYMENTS).await.context("the Deployments")?;
    Ok(deployments.iter().map(image).collect())
}

fn image(deployment: &Value) -> String {
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}
