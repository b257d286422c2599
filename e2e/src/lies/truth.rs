//! What has to be so when a store, or a part of one, says that it is ready. Pure.

use serde_json::Value;

use crate::{
    diagnostics::condition,
    store::{SERVICES, is_settled, says},
};

/// What a store says of its parts, beside `Ready` and `Upgraded`.
const PARTS: [&str; 4] = ["DatabaseReady", "EventsReady", "CacheReady", "ServicesReady"];

/// A store and what belongs to it: first those that say something, then what that is about.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) store: Value,
    pub(super) services: Vec<Value>,
    pub(super) databases: Vec<Value>,
    pub(super) topics: Vec<Value>,
    pub(super) deployments: Vec<Value>,
    pub(super) servers: Vec<Value>,
}

/// Something that is said and does not seem to be so.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Who says it.
    by: Speaker,
    /// What it is about.
    pub(super) of: String,
    /// A part may have changed a moment ago, and nobody has seen it yet: that is a lie when it is told twice. The image is
    /// one at once, as nobody but the operator sets it.
    pub(super) sure: bool,
    pub(super) truth: String,
}

/// An object in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Speaker {
    uid: String,
    version: String,
}

impl Speaker {
    fn of(object: &Value) -> Self {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        Self { uid: text("uid"), version: text("resourceVersion") }
    }
}

impl Doubt {
    /// Whether it is among those of a later look: the same is said in the same words, and is still not so.
    pub(super) fn stands(&self, later: &[Self]) -> bool {
        later.iter().any(|later| (&later.by, &later.of) == (&self.by, &self.of))
    }
}

impl Scene {
    /// What is said to be so now.
    pub(super) fn said(&self) -> Vec<&'static str> {
        let of_store = ["Upgraded"].into_iter().chain(PARTS).filter(|type_| says(&self.store, type_));
        let kinds =
            [("StoreService", &self.services), ("StoreDatabase", &self.databases), ("StoreTopic", &self.topics)];
        let of_parts = kinds.into_iter().filter(|(_, parts)| parts.iter().any(is_settled)).map(|(kind, _)| kind);
        let ready = is_settled(&self.store).then_some("Ready");
        ready.into_iter().chain(of_store).chain(of_parts).collect()
    }

    /// What is said and does not seem to be so.
    pub(super) fn doubts(&self) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        for service in self.services.iter().filter(|service| is_settled(service)) {
            doubts.extend(self.of_a_service(service));
        }
        for database in self.databases.iter().filter(|database| is_settled(database)) {
            doubts.extend(self.of_a_database(database));
        }
        for topic in self.topics.iter().filter(|topic| is_settled(topic)) {
            doubts.extend(self.of_a_topic(topic));
        }
        doubts.extend(self.of_the_upgrade());
        for type_ in PARTS.into_iter().filter(|type_| says(&self.store, type_)) {
            doubts.extend(self.of_a_part(type_));
        }
        if is_settled(&self.store) {
            doubts.extend(self.of_the_store());
        }
        doubts
    }

    /// All its services run the image that the spec asks for, and it says of all its parts that they are ready.
    fn of_the_store(&self) -> Vec<Doubt> {
        let image = |service| {
            let name = self.child(service);
            let image = image(named(&self.deployments, &name)).unwrap_or("no image");
            let wanted = wanted(&self.store, service);
            let truth = || format!("Ready while {name} has {image} instead of {wanted}");
            (!image.ends_with(&wanted)).then(|| Doubt { sure: true, ..doubt(&self.store, &name, truth()) })
        };
        let part = |type_: &&str| {
            let truth = || format!("Ready while {type_} is {:?}", condition(&self.store, type_));
            (!says(&self.store, type_)).then(|| Doubt { sure: true, ..doubt(&self.store, type_, truth()) })
        };
        enabled(&self.store).filter_map(image).chain(PARTS.iter().filter_map(part)).collect()
    }

    fn of_a_part(&self, type_: &'static str) -> Vec<Doubt> {
        let spec = &self.store["spec"];
        let managed = |part: &str| !spec[part]["managed"].is_null();
        let server = |part: &str, name: &str| managed(part).then(|| self.child(name));
        let (server, parts) = match type_ {
            "DatabaseReady" => (server("database", "postgres"), &self.databases),
            "EventsReady" => (server("kafka", "kafka"), &self.topics),
            "CacheReady" => (server("cache", "cache"), const { &Vec::new() }),
            _ => return self.of_the_services(type_),
        };
        let unready = parts.iter().filter(|part| !is_settled(part)).map(|part| self.not_so(type_, part));
        let missing = (type_ != "CacheReady" && parts.is_empty()).then(|| self.nothing_there(type_));
        unready.chain(missing).chain(server.and_then(|name| self.of_a_server(&self.store, type_, &name))).collect()
    }

    fn of_the_services(&self, type_: &'static str) -> Vec<Doubt> {
        let doubt = |service| {
            let name = self.child(service);
            let (described, deployment) = (named(&self.services, &name), named(&self.deployments, &name));
            if !is_settled(described) {
                return Some(self.not_so(type_, described));
            }
            (!is_whole(deployment, least(described))).then(|| self.not_so(type_, deployment))
        };
        enabled(&self.store).filter_map(doubt).collect()
    }

    /// Every service is to run the image that the spec asks for, and its Deployment too. A Deployment that somebody took away
    /// comes back; it is no matter of the upgrade.
    fn of_the_upgrade(&self) -> Vec<Doubt> {
        if !says(&self.store, "Upgraded") {
            return Vec::new();
        }
        let doubt = |service| {
            let (name, wanted) = (self.child(service), wanted(&self.store, service));
            let described = named(&self.services, &name)["spec"]["image"].as_str().unwrap_or("no image");
            let truth = if described.ends_with(&wanted) {
                let image = image(named(&self.deployments, &name)).filter(|image| *image != described)?;
                format!("Upgraded while Deployment {name} has {image} instead of {described}")
            } else {
                format!("Upgraded while StoreService {name} is to run {described} instead of {wanted}")
            };
            Some(Doubt { sure: true, ..doubt(&self.store, &format!("the upgrade of {name}"), truth) })
        };
        enabled(&self.store).filter_map(doubt).collect()
    }

    /// Its Deployment has its image, and as many pods as are asked for are ready and of the newest template.
    fn of_a_service(&self, service: &Value) -> Option<Doubt> {
        let deployment = named(&self.deployments, name(service));
        let (wanted, held) = (service["spec"]["image"].as_str(), image(deployment));
        if wanted != held {
            let truth = format!("StoreService {} Ready while it has {held:?} instead of {wanted:?}", name(service));
            return Some(Doubt { sure: !deployment.is_null(), ..doubt(service, name(service), truth) });
        }
        let truth = || format!("StoreService {} Ready while its pods are {}", name(service), deployment["status"]);
        (!is_whole(deployment, least(service))).then(|| doubt(service, name(service), truth()))
    }

    /// Its server is whole, and each of its databases is ready.
    fn of_a_database(&self, database: &Value) -> Option<Doubt> {
        let unready = |held: &&Value| held["ready"] != true;
        if let Some(unready) = database["status"]["databases"].as_array().into_iter().flatten().find(unready) {
            let truth = format!("StoreDatabase {} Ready while one says {unready}", name(database));
            return Some(Doubt { sure: true, ..doubt(database, name(database), truth) });
        }
        let managed = !database["spec"]["managed"].is_null();
        let server = format!("{}-postgres", name(database));
        managed.then(|| self.of_a_server(database, "StoreDatabase", &server)).flatten()
    }

    /// Its broker is whole, and has as many partitions as are asked for, or more.
    fn of_a_topic(&self, topic: &Value) -> Option<Doubt> {
        let (have, want) = (&topic["status"]["partitions"], &topic["spec"]["partitions"]);
        if have.as_i64() < want.as_i64() {
            let truth = format!("StoreTopic {} Ready with {have} partitions instead of {want}", name(topic));
            return Some(Doubt { sure: true, ..doubt(topic, name(topic), truth) });
        }
        let managed = !self.store["spec"]["kafka"]["managed"].is_null();
        managed.then(|| self.of_a_server(topic, "StoreTopic", &self.child("kafka"))).flatten()
    }

    fn of_a_server(&self, by: &Value, said: &str, server: &str) -> Option<Doubt> {
        let held = named(&self.servers, server);
        let truth = || format!("{said} {} Ready while {server} says {}", name(by), held["status"]);
        let whole = held["spec"]["replicas"] != 0 && is_whole(held, held["spec"]["replicas"].as_u64());
        (!whole).then(|| doubt(by, server, truth()))
    }

    /// The store says that a part is ready, and something of it is not.
    fn not_so(&self, type_: &str, object: &Value) -> Doubt {
        let (of, status) = (name(object), &object["status"]);
        let generation = &object["metadata"]["generation"];
        doubt(&self.store, of, format!("{type_} while {of} at generation {generation} says {status}"))
    }

    fn nothing_there(&self, type_: &str) -> Doubt {
        doubt(&self.store, type_, format!("{type_} while there is nothing"))
    }

    fn child(&self, part: &str) -> String {
        format!("{}-{part}", name(&self.store))
    }
}

fn doubt(by: &Value, of: &str, truth: String) -> Doubt {
    Doubt { by: Speaker::of(by), of: of.to_owned(), sure: false, truth }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("what is not there")
}

fn named<'a>(objects: &'a [Value], wanted: &str) -> &'a Value {
    objects.iter().find(|object| name(object) == wanted).unwrap_or(&Value::Null)
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

/// The pods that are asked for: so many, or the least that an autoscaler may leave.
fn least(service: &Value) -> Option<u64> {
    let spec = &service["spec"];
    spec["replicas"].as_u64().or_else(|| spec["autoscaling"]["minReplicas"].as_u64()).or(Some(1))
}

/// Whether at least so many pods are ready, and no pod is of an earlier template.
fn is_whole(workload: &Value, least: Option<u64>) -> bool {
    let status = &workload["status"];
    let count = |field: &str| status[field].as_u64().unwrap_or_default();
    !workload.is_null()
        && status["observedGeneration"] == workload["metadata"]["generation"]
        && count("updatedReplicas") == count("replicas")
        && Some(count("readyReplicas")) >= least
}

#[cfg(test)]
mod tests;
