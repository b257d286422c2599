//! Whether it is so when a store says that it is ready, or that it has been upgraded: `kubectl wait` believes it.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::interval};

use crate::{
    DEPLOYMENTS, STATEFUL_SETS, STORE_DATABASES, STORE_SERVICES, STORE_TOPICS, STORES, Store,
    store::{SERVICES, is_settled, says},
};

/// How often the conditions are looked at.
const SAMPLE: Duration = Duration::from_millis(100);

/// Somebody who looks at a store ten times a second. Whenever it says that it is ready at its present generation, every
/// service runs the image that the spec asks for, to the last pod, and every part says of itself that it is ready. Whenever it
/// says that it has been upgraded, every service is to run that image, and its Deployment too.
#[derive(Debug)]
pub struct Lies {
    stop: watch::Sender<bool>,
    told: JoinSet<Result<Vec<String>>>,
}

/// Something about a store that says that it is ready, or upgraded.
#[derive(Debug)]
struct Doubt {
    /// What it is about.
    of: String,
    /// A part may have changed a moment ago, and nobody has seen it yet: that is a lie when it is told twice. The image is
    /// one at once, as nobody but the operator sets it.
    sure: bool,
    truth: String,
}

impl Lies {
    /// Starts looking. The store need not be there yet.
    #[must_use]
    pub fn watch_for(store: &Store) -> Self {
        let (stop, end) = watch::channel(false);
        let mut told = JoinSet::new();
        told.spawn(look(store.clone(), end));
        Self { stop, told }
    }

    /// What the store has said that was not so, up to now. Who looked is gone then.
    pub async fn told(mut self) -> Result<Vec<String>> {
        self.stop.send_replace(true);
        self.told.join_next().await.context("nobody looked")?.context("the looking broke off")?
    }
}

async fn look(store: Store, mut end: watch::Receiver<bool>) -> Result<Vec<String>> {
    let (mut lies, mut before) = (Vec::new(), BTreeSet::new());
    let mut clock = interval(SAMPLE);
    loop {
        tokio::select! {
            _ = end.changed() => return Ok(lies),
            _ = clock.tick() => {}
        }
        let Some(doubts) = doubts(&store).await? else { continue };
        lies.extend(
            doubts.iter().filter(|doubt| doubt.sure || before.contains(&doubt.of)).map(|doubt| doubt.truth.clone()),
        );
        before = doubts.into_iter().map(|doubt| doubt.of).collect();
    }
}

/// What is not so although the store says so; nothing if it changed its mind meanwhile.
async fn doubts(store: &Store) -> Result<Option<Vec<Doubt>>> {
    let Some(seen) = store.space().find(STORES, store.name()).await? else { return Ok(Some(Vec::new())) };
    let mut doubts = Vec::new();
    if says(&seen, "Upgraded") {
        doubts.extend(about_the_upgrade(store, &seen).await?);
    }
    if is_settled(&seen) {
        doubts.extend(about_readiness(store, &seen).await?);
    }
    // What was said counts only if it still is: the spec may have changed in between.
    let now = store.space().find(STORES, store.name()).await?.unwrap_or_default();
    Ok((now["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]).then_some(doubts))
}

async fn about_the_upgrade(store: &Store, seen: &Value) -> Result<Vec<Doubt>> {
    let mut doubts = Vec::new();
    for service in enabled(seen) {
        let name = store.child(service);
        let described = store.space().find(STORE_SERVICES, &name).await?.unwrap_or_default();
        let deployment = store.space().find(DEPLOYMENTS, &name).await?.unwrap_or_default();
        doubts.extend(of_the_upgrade(&wanted(seen, service), &name, &described, &deployment));
    }
    Ok(doubts)
}

async fn about_readiness(store: &Store, seen: &Value) -> Result<Vec<Doubt>> {
    let (space, mut doubts) = (store.space(), Vec::new());
    for service in enabled(seen) {
        let name = store.child(service);
        let deployment = space.find(DEPLOYMENTS, &name).await?.unwrap_or_default();
        doubts.extend(
            of_the_image(&wanted(seen, service), &name, &deployment).or_else(|| of_the_pods(&name, &deployment)),
        );
    }
    for server in space.list(STATEFUL_SETS).await?.iter().filter(|server| !is_whole(server)) {
        doubts.push(Doubt::new(server, &server["status"]));
    }
    for kind in [STORE_SERVICES, STORE_DATABASES, STORE_TOPICS] {
        let parts = space.list(kind).await?;
        let ours = parts.iter().filter(|part| part["metadata"]["ownerReferences"][0]["uid"] == seen["metadata"]["uid"]);
        doubts
            .extend(ours.filter(|part| !is_settled(part)).map(|part| Doubt::new(part, &part["status"]["conditions"])));
    }
    Ok(doubts)
}

impl Doubt {
    fn new(object: &Value, instead: &Value) -> Self {
        let (name, generation) = (&object["metadata"]["name"], &object["metadata"]["generation"]);
        let truth = format!("Ready while {name} at generation {generation} says {instead}");
        Self { of: name.to_string(), sure: false, truth }
    }
}

/// The services that a store has.
fn enabled(store: &Value) -> impl Iterator<Item = &'static str> {
    let entries = store["spec"]["services"].as_array().cloned().unwrap_or_default();
    let disabled = move |name: &str| entries.iter().any(|entry| entry["name"] == name && entry["disabled"] == true);
    SERVICES.into_iter().filter(move |name| !disabled(name))
}

/// What the name of the image ends in that a service is to run: the whole of it where the repository is known.
fn wanted(store: &Value, service: &str) -> String {
    let spec = &store["spec"];
    let entry = spec["services"].as_array().into_iter().flatten().find(|entry| entry["name"] == service);
    let own = entry.and_then(|entry| entry["version"].as_str());
    let tag = own.or_else(|| spec["image"]["tag"].as_str()).or_else(|| spec["version"].as_str()).unwrap_or_default();
    format!("{}:{tag}", spec["image"]["repository"].as_str().unwrap_or_default())
}

/// The image of a Deployment, if there is one.
fn image(deployment: &Value) -> Option<&str> {
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str()
}

fn of_the_image(wanted: &str, name: &str, deployment: &Value) -> Option<Doubt> {
    let image = image(deployment).unwrap_or("no image");
    let truth = || format!("Ready while {name} has {image} instead of {wanted}");
    (!image.ends_with(wanted)).then(|| Doubt { of: name.to_owned(), sure: true, truth: truth() })
}

/// A Deployment that somebody took away comes back; it is no matter of the upgrade.
fn of_the_upgrade(wanted: &str, name: &str, service: &Value, deployment: &Value) -> Option<Doubt> {
    let described = service["spec"]["image"].as_str().unwrap_or("no image");
    let doubt = |truth: String| Doubt { of: format!("the upgrade of {name}"), sure: true, truth };
    if !described.ends_with(wanted) {
        return Some(doubt(format!("Upgraded while StoreService {name} is to run {described} instead of {wanted}")));
    }
    let image = image(deployment).filter(|image| *image != described)?;
    Some(doubt(format!("Upgraded while Deployment {name} has {image} instead of {described}")))
}

fn of_the_pods(name: &str, deployment: &Value) -> Option<Doubt> {
    let status = &deployment["status"];
    let whole = status["observedGeneration"] == deployment["metadata"]["generation"]
        && status["updatedReplicas"] == status["replicas"]
        && status["readyReplicas"].as_u64() >= Some(1);
    (!whole).then(|| Doubt { of: name.to_owned(), ..Doubt::new(deployment, status) })
}

/// Whether every pod of a server is ready.
fn is_whole(server: &Value) -> bool {
    let status = &server["status"];
    status["observedGeneration"] == server["metadata"]["generation"]
        && status["readyReplicas"].as_u64().map(|ready| json!(ready)) == Some(server["spec"]["replicas"].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str, updated: u64) -> Value {
        json!({
            "metadata": {"name": "green-cart", "generation": 3},
            "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
            "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": updated, "readyReplicas": 2},
        })
    }

    #[test]
    fn a_store_that_is_ready_runs_the_image_it_asks_for() {
        let store = |image: Value| json!({"spec": {"version": "1.0.0", "image": image}});
        let doubt = |store: &Value, image: &str| {
            of_the_image(&wanted(store, "cart"), "green-cart", &deployment(image, 2)).is_some()
        };
        assert!(!doubt(&store(json!(null)), "shop:1.0.0") && doubt(&store(json!(null)), "shop:0.9.0"));
        assert!(!doubt(&store(json!({"tag": "a"})), "shop:a") && doubt(&store(json!({"tag": "a"})), "shop:1.0.0"));
        assert!(doubt(&store(json!({"repository": "mirror/shop"})), "shop:1.0.0"), "it is from elsewhere");
        assert!(of_the_image(":1.0.0", "green-cart", &json!(null)).is_some(), "there is none at all");
    }

    #[test]
    fn a_store_that_has_been_upgraded_asks_every_service_for_its_image_and_each_asks_its_pods() {
        let services = json!([{"name": "cart", "version": "1.1.0"}]);
        let store = json!({"spec": {"version": "1.0.0", "services": services}});
        let doubt = |service: &str, described: &str, image: &str| {
            let described = json!({"spec": {"image": described}});
            of_the_upgrade(&wanted(&store, service), "green", &described, &deployment(image, 2)).is_some()
        };
        assert!(!doubt("auth", "shop:1.0.0", "shop:1.0.0") && !doubt("cart", "shop:1.1.0", "shop:1.1.0"));
        assert!(doubt("cart", "shop:1.0.0", "shop:1.0.0"), "it is not asked for its own");
        assert!(doubt("auth", "shop:1.0.0", "shop:0.9.0"), "it does not run what it is asked for");
        assert!(of_the_upgrade(":1.0.0", "green", &json!(null), &json!(null)).is_some(), "it is not there");
    }

    #[test]
    fn every_pod_of_it_is_of_the_newest_template_and_every_server_whole() {
        assert!(of_the_pods("green-cart", &deployment("shop:1", 2)).is_none());
        assert!(of_the_pods("green-cart", &deployment("shop:1", 1)).is_some());
        let server = |ready: u64| {
            json!({
                "metadata": {"generation": 1}, "spec": {"replicas": 1},
                "status": {"observedGeneration": 1, "readyReplicas": ready},
            })
        };
        assert!(is_whole(&server(1)) && !is_whole(&server(0)));
    }

    #[test]
    fn services_that_are_left_out_are_not_looked_for() {
        let services = json!([{"name": "cart", "disabled": true}, {"name": "auth"}]);
        let names: Vec<&str> = enabled(&json!({"spec": {"services": services}})).collect();
        assert!(!names.contains(&"cart") && names.contains(&"auth") && names.len() == SERVICES.len() - 1);
    }
}
