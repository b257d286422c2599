//! Releases that do not work, and stores that sleep: shoppers notice nothing of the first and lose nothing in the second.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{CLAIMS, Cluster, Crowd, DEPLOYMENTS, Lies, PODS, Seen, Store, is_ready, unique, wait_until, xtask};
use serde_json::{Value, json};

use crate::{
    plugin::plugin,
    release::{Later, Release},
};

const READY: Duration = Duration::from_mins(5);
/// Until what has rolled out is seen to have.
const SOON: Duration = Duration::from_mins(1);
/// Of the releases that do not work (`e2e/images`).
const REPOSITORY: &str = "greencommerce/services";

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_last_service_never_gets_ready_is_taken_back_from_all_and_not_tried_again() -> Result<()> {
    let cluster = Cluster::alone().await?;
    load_releases().await?;
    let mut trial = Trial::begin(&cluster).await?;
    let bad = format!("{REPOSITORY}:gateway-never-ready");

    // When a store is to run a release of which every service works but the one that changes last
    let wanted = json!({"image": {"tag": "gateway-never-ready"}, "upgrade": {"progressDeadline": "30s"}});
    let store = trial.run(wanted).await?;
    let everywhere = has_everywhere(&store, &bad).await;
    let taken_back = told(&store, "UpgradeRolledBack").await;

    // Then every service runs the release before it, the status says why, and the history remembers.
    let after = images(&store).await;
    let status = store.get().await?["status"].clone();
    let again = store.set_service(json!({"name": "catalog", "replicas": 1})).await?;
    let still = told(&store, "UpgradeRolledBack").await;
    store.set_services(again).await?;
    let before = trial.end().await?;
    everywhere?;
    let taken_back = taken_back?;
    ensure!(
        taken_back["message"].as_str().is_some_and(|text| text.contains("gateway: the roll makes no")),
        "{taken_back}"
    );
    assert_eq!(after?, before.images);
    let record = [&before.version, &before.version, &bad, "RolledBack", "ProgressDeadlineExceeded"];
    assert_eq!(told_of(&status["history"][0]), record);
    assert_eq!(status["history"][1]["result"], "Succeeded");
    assert_eq!(condition(&json!({"status": status}), "Degraded")["status"], "True");
    // Another number of pods does not make the release better.
    still.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_not_to_be_taken_back_by_itself_stays_beside_the_one_before_until_somebody_goes_back()
-> Result<()> {
    let cluster = Cluster::alone().await?;
    load_releases().await?;
    let release = Release::made_of(&format!("{REPOSITORY}:never-ready"), &cluster).await?;
    let mut trial = Trial::begin(&cluster).await?;

    // When a store that takes nothing back by itself is to run a version whose pods never become ready
    let mut wanted = release.wanted();
    wanted["upgrade"] = json!({"autoRollback": false});
    let store = trial.run(wanted).await?;
    let missed = told_while(&store, "ProgressDeadlineExceeded", "ProgressDeadlineExceeded").await;
    let (pods, during) = (store.pods("auth").await, images(&store).await);
    let failed = store.get().await?["status"]["history"][0].clone();

    // Then the first service has a pod of it beside all its old ones, which serve, and no other service has changed;
    let before = trial.end().await?;
    let back = store.get().await?["status"]["history"][0].clone();
    let image = release.image.clone();
    release.remove(&cluster).await?;
    missed?;
    let (new, old): (Vec<Value>, Vec<Value>) =
        pods?.into_iter().partition(|pod| pod["spec"]["containers"][0]["image"] == image.as_str());
    assert_eq!((new.len(), new.iter().any(is_ready)), (1, false), "{new:?}");
    assert_eq!((old.len(), old.iter().all(is_ready)), (2, true), "{old:?}");
    assert_eq!(during?, before.images.iter().chain([&image]).cloned().collect());
    // and the history tells of the version that was asked for, and of the way back.
    let version = image.rsplit(':').next().unwrap_or_default();
    assert_eq!(told_of(&failed), [&before.version, version, &image, "Failed", "ProgressDeadlineExceeded"]);
    let good = before.images.first().context("no image")?;
    assert_eq!(told_of(&back), [&before.version, &before.version, good, "Succeeded", ""]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_migration_fails_or_that_no_registry_has_changes_no_service() -> Result<()> {
    let cluster = Cluster::alone().await?;
    load_releases().await?;
    let mut trial = Trial::begin(&cluster).await?;

    // When a store is to run a release whose migrations fail, and, from its good one again, one that no registry has
    let store = trial.run(json!({"image": {"tag": "failing-migration"}})).await?;
    let failed = told(&store, "MigrationFailed").await;
    let after_failure = images(&store).await;
    let between = trial.go_back().await;
    let store = trial.run(json!({"image": {"tag": unique("no-such")}})).await?;
    let missing = told(&store, "ImagePullFailed").await;
    let after_missing = images(&store).await;

    // Then no service has changed, and the status says what the migration said, and which image is not there.
    let before = trial.end().await?;
    between?;
    let failed = failed?;
    ensure!(failed["message"].as_str().is_some_and(|text| text.contains("does not exist")), "{failed}");
    let missing = missing?;
    ensure!(missing["message"].as_str().is_some_and(|text| text.contains("no-such")), "{missing}");
    assert_eq!((&after_failure?, &after_missing?), (&before.images, &before.images));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_work_with_what_a_later_one_left_is_refused_and_changes_no_service() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let mut trial = Trial::begin(&cluster).await?;
    // Given a catalogue from which a later release has taken something
    let store = cluster.store().await?;
    let (release, later) = (Release::like_that_of(&store, &cluster).await?, Later::cuts(&store).await?);

    // When the store is to run an earlier one
    trial.run(release.wanted()).await?;
    let refused = told(&store, "DowngradeRefused").await;
    let after = images(&store).await;

    // Then no service has changed, and the status says which database is in whose way.
    later.undo().await?;
    let before = trial.end().await?;
    release.remove(&cluster).await?;
    let refused = refused?;
    for part in ["catalog", "contract drop the former price"] {
        ensure!(refused["message"].as_str().is_some_and(|text| text.contains(part)), "{refused}");
    }
    assert_eq!(after?, before.images);
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
    let lies = Lies::watch_for(&store);
    lies.sees_it_ready().await?;

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

    // Then no pod is left, and every volume, and it never said that it was ready when it was not;
    store.patch(&json!({"spec": {"suspend": false}})).await?;
    let awake = store.wait_ready(READY).await;
    let looked = lies.told().await?;
    println!("sleep: {looked}");
    asleep?;
    looked.expect_truth(&[true, false, true])?;
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
    before: Before,
    lies: Lies,
    /// What the store is to say of itself, one after the other.
    ready: Vec<bool>,
}

/// What a store was to run, and ran.
struct Before {
    spec: Value,
    version: String,
    images: BTreeSet<String>,
}

impl Trial {
    async fn begin(cluster: &Cluster) -> Result<Self> {
        let store = cluster.store().await?;
        let spec = store.wait_ready(READY).await?["spec"].clone();
        let version = spec["version"].as_str().unwrap_or_default().to_owned();
        let before = Before { spec, version, images: images(&store).await? };
        let crowd = Crowd::enter(cluster).await?;
        let lies = Lies::watch_for(&store);
        lies.sees_it_ready().await?;
        Ok(Self { store, crowd, before, lies, ready: vec![true] })
    }

    /// Asks for a release, which gets little time.
    async fn run(&mut self, mut spec: Value) -> Result<Store> {
        for limit in ["migrationTimeout", "progressDeadline"] {
            if spec["upgrade"][limit].is_null() {
                spec["upgrade"][limit] = json!("20s");
            }
        }
        self.store.patch(&json!({"spec": spec})).await?;
        self.ready.push(false);
        Ok(self.store.clone())
    }

    /// Goes back by hand, to exactly what was asked for before.
    async fn go_back(&mut self) -> Result<()> {
        self.ready.push(true);
        let rollback = ["rollback", self.store.name(), "--yes", "--wait", "--timeout", "5m"];
        plugin(&self.store, &rollback).await?.expect(0)?;
        self.lies.sees_it_ready().await?;
        let (spec, before) = (&self.store.get().await?["spec"], &self.before.spec);
        ensure!(spec["version"] == before["version"] && spec["image"] == before["image"], "back to {spec}");
        Ok(())
    }

    /// Goes back by hand. No request has failed, and no condition was wrong at any time.
    async fn end(mut self) -> Result<Before> {
        let back = self.go_back().await;
        let Self { store, crowd, before, lies, ready } = self;
        // Whatever came of it, the next test finds the store as it was.
        let (version, tag) = (&before.spec["version"], &before.spec["image"]["tag"]);
        let spec = json!({"version": version, "image": {"tag": tag}, "upgrade": before.spec["upgrade"]});
        store.patch(&json!({"spec": spec})).await?;
        let settled = store.wait_ready(READY).await;
        let (report, looked) = (crowd.leave().await?, lies.told().await?);
        back?;
        settled?;
        report.expect_no_failure()?;
        looked.expect_truth(&ready)?;
        assert_eq!(images(&store).await?, before.images);
        Ok(before)
    }
}

/// Waits until every Deployment has the image at the same time, and, but for the gateway's, no pod of another.
async fn has_everywhere(store: &Store, image: &str) -> Result<()> {
    wait_until(store.space(), &format!("every Deployment to have {image}"), READY, async || {
        let images = images(store).await?;
        Ok(Seen::when(images == BTreeSet::from([image.to_owned()]), format!("{images:?}")))
    })
    .await?;
    for service in Store::services().iter().filter(|service| **service != "gateway") {
        store.wait_rolled_out(service, SOON).await?;
    }
    Ok(())
}

/// Waits until the store says, of its present generation, that it does not run what it should, and why. Gives `Upgraded`.
async fn told(store: &Store, reason: &str) -> Result<Value> {
    told_while(store, reason, reason).await
}

/// Waits until the store says so, and of its upgrade that.
async fn told_while(store: &Store, reason: &str, of_upgrade: &str) -> Result<Value> {
    wait_until(store.space(), reason, READY, async || {
        let store = store.get().await?;
        let (upgraded, ready) = (condition(&store, "Upgraded"), condition(&store, "Ready"));
        let current = ready["observedGeneration"] == store["metadata"]["generation"];
        let told =
            current && ready["status"] == "False" && upgraded["reason"] == of_upgrade && ready["reason"] == reason;
        Ok(if told { Seen::Yes(upgraded) } else { Seen::NotYet(format!("{ready} {upgraded}")) })
    })
    .await
}

/// From which version an upgrade was to which, with which image, what came of it and why.
fn told_of(record: &Value) -> [&str; 5] {
    ["from", "to", "image", "result", "reason"].map(|field| record[field].as_str().unwrap_or_default())
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
