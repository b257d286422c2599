//! Everything that the guide and the examples show, at rest: whatever the API server makes of it, nobody writes it again, and
//! nobody looks at it for ever.

use std::{fs, path::Path, time::Duration};

use devenv::Backing;
use kubekit::{Mark, Operator, Space, eventually};
use serde_json::{Value, json};

use crate::{
    database::{Tenants, administrator},
    setup::{cluster, program},
    shop::BROKER_TIMEOUT,
    story::rest,
};

const GUIDE: &str = include_str!("../../../docs/operator.md");
const RECONCILIATIONS: &str = "greencommerce_operator_reconciliations_total";
const QUIET: Duration = Duration::from_secs(30);

/// A namespace with what one of the two shows.
struct World {
    space: Space<'static>,
    operator: Operator,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_guide_and_the_examples_show_is_written_again_or_looked_at_without_end() {
    let tenants = Tenants::default();
    let worlds: [World; 2] =
        futures::future::join(World::of(&tenants, guide(), 0), World::of(&tenants, examples(), 10)).await.into();
    for world in &worlds {
        rest(&world.space, BROKER_TIMEOUT).await;
    }
    let mark = cluster().await.audit().mark();
    let before = looks(&worlds).await;
    tokio::time::sleep(QUIET).await;
    let after = looks(&worlds).await;
    for (world, (before, after)) in worlds.iter().zip(before.iter().zip(after)) {
        world.was_quiet(mark, [after[0] - before[0], after[1] - before[1]]).await;
    }
}

impl World {
    /// Returns once everything runs that can run. `port` is added to node ports: a cluster has each once.
    async fn of(tenants: &Tenants, mut shown: Vec<Value>, port: i64) -> Self {
        // Services come to a store that is there, and to a database.
        shown.sort_by_key(|object| (object["kind"] != "Store", object["kind"] == "StoreService"));
        let space = cluster().await.space().await;
        let operator = space.operator(program(), None).await;
        let shown: Vec<Value> = shown
            .into_iter()
            .enumerate()
            .map(|(number, object)| at_home(tenants, &space, number, port, object))
            .collect();
        for object in beside() {
            space.apply(&object).await;
        }
        // One after the other, so that each has all the time there is.
        for object in &shown {
            space.apply(object).await;
            until_it_runs(&space, object).await;
        }
        Self { space, operator }
    }

    /// How often anything was looked at, with success and in vain.
    async fn looks(&self) -> [f64; 2] {
        let success = self.operator.figure(RECONCILIATIONS, r#"result="success""#).await;
        [success, self.operator.figure(RECONCILIATIONS, r#"result="failure""#).await]
    }

    async fn was_quiet(&self, since: Mark, [well, in_vain]: [f64; 2]) {
        let state = self.space.state().await;
        let ours = state.names().filter(|name| name.starts_with("Store")).map(|name| state.get(name).unwrap());
        let (ready, unready): (Vec<&Value>, Vec<&Value>) = ours.partition(|object| is_ready(object));
        println!("{} ready and {} not: {well} looks, {in_vain} in vain", ready.len(), unready.len());
        assert_eq!(self.space.writes(since), [], "the operator wrote although nothing changed");
        let all = u32::try_from(ready.len() + unready.len()).unwrap();
        assert!(well <= f64::from(all), "{well} looks at {all} objects");
        let failing = u32::try_from(unready.len()).unwrap();
        assert!(in_vain <= f64::from(failing) * QUIET.as_secs_f64(), "{in_vain} looks in vain at {failing} objects");
    }
}

/// Waits until the operator has made what it can make of an object.
async fn until_it_runs(space: &Space<'_>, object: &Value) {
    let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
    match kind {
        // The gateway comes last; one behind a load balancer never has its address here.
        "Store" => {
            let gateway = format!("{name}-gateway");
            eventually(&format!("Deployment {gateway}"), || async {
                space.get("Deployment", &gateway).await.is_some()
            })
            .await;
        }
        "StoreService" => {
            eventually(&format!("Deployment {name}"), || async { space.get("Deployment", name).await.is_some() }).await;
        }
        _ => {
            eventually(&format!("a word of {kind} {name}"), || async {
                space.get(kind, name).await.unwrap()["status"]["conditions"].is_array()
            })
            .await;
        }
    }
}

async fn looks(worlds: &[World]) -> Vec<[f64; 2]> {
    futures::future::join_all(worlds.iter().map(World::looks)).await
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// The manifests in the guide.
fn guide() -> Vec<Value> {
    let blocks = GUIDE.split("```yaml\n").skip(1).filter_map(|block| block.split_once("```"));
    blocks.map(|(yaml, _)| serde_yaml::from_str(yaml).unwrap()).collect()
}

fn examples() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|file| serde_yaml::from_str(&fs::read_to_string(file).unwrap()).unwrap()).collect()
}

/// What the manifests refer to.
fn beside() -> Vec<Value> {
    let secret = |name: &str, key: &str, value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}});
    let rules = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "parcels-rules"}, "data": {"rules": "none"},
    });
    let redis = secret("redis", "url", "redis://redis:6379/0");
    vec![administrator(), redis, secret("search", "synonyms", "bin"), secret("carrier", "token", "secret"), rules]
}

/// The same where there is a database server, and brokers for topics of somebody's own. Those of stores do not answer.
fn at_home(tenants: &Tenants, space: &Space<'_>, number: usize, port: i64, mut object: Value) -> Value {
    let spec = &mut object["spec"];
    if let Some(asked) = spec["exposure"]["nodePort"]["port"].as_i64() {
        spec["exposure"]["nodePort"]["port"] = json!(asked + port);
    }
    let external = || {
        let mut external = tenants.external(space);
        external["databasePrefix"] = json!(format!("{}{number}_", external["databasePrefix"].as_str().unwrap()));
        external
    };
    match object["kind"].as_str().unwrap() {
        "Store" => {
            let database = &mut object["spec"]["database"];
            database["external"] = external();
            database.as_object_mut().unwrap().remove("managed");
        }
        "StoreDatabase" if object["spec"]["external"].is_object() => object["spec"]["external"] = external(),
        "StoreTopic" => {
            let brokers = Backing::of_checkout().kafka().expect("Kafka starts").bootstrap_servers();
            let name = format!("{}.{}", space.identifier(), object["spec"]["topicName"].as_str().unwrap());
            object["spec"]["bootstrapServers"] = json!(brokers);
            object["spec"]["topicName"] = json!(name);
        }
        _ => {}
    }
    object
}
