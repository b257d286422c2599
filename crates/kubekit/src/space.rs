//! A namespace of one test.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions,
    },
};
use serde_json::Value;

use crate::{Cluster, DEADLINE, Launch, Mark, Operator, Proxy, State, Write, audit::Lives};

/// Between two looks at an object.
const PAUSE: Duration = Duration::from_millis(50);

/// A namespace, and a client that may do everything in it. What is in it goes with the cluster.
#[derive(Clone)]
pub struct Space<'a> {
    cluster: &'a Cluster,
    client: Client,
    name: String,
    /// When it was made: the log holds nothing of it before.
    begun: Mark,
    /// A port that only this space has.
    port: OnceLock<u16>,
    /// What was there at the last look: to list every kind is most of the work of looking.
    seen: Arc<Mutex<Seen>>,
}

/// Everything that was there when so much had been written.
#[derive(Default)]
struct Seen {
    written: usize,
    objects: Option<Vec<Value>>,
}

impl<'a> Space<'a> {
    pub(crate) async fn new(cluster: &'a Cluster, name: &str) -> Self {
        let (client, begun) = (cluster.admin(), cluster.audit().mark());
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        let api: Api<Namespace> = Api::all(client.clone());
        api.create(&PostParams::default(), &namespace).await.expect("a namespace can be made");
        Self { cluster, client, name: name.to_owned(), begun, port: OnceLock::new(), seen: Arc::default() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name in which only letters, digits and `_` stand, for things that are not Kubernetes'.
    #[must_use]
    pub fn identifier(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The cluster it is in.
    #[must_use]
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    /// The objects of one kind.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Starts an operator that looks after this namespace, through `proxy` where there is one. Returns once it works.
    pub async fn operator(&self, program: impl Into<PathBuf>, proxy: Option<&Proxy>) -> Operator {
        let launch = Launch::new(program).namespace(&self.name);
        let launch = match proxy {
            Some(proxy) => launch.server(proxy.url()),
            None => launch,
        };
        let operator = launch.start(self.cluster);
        operator.ready().await;
        operator
    }

    /// Writes an object as a user would with `kubectl apply`.
    ///
    /// # Panics
    ///
    /// When the API server refuses it.
    pub async fn apply(&self, object: &Value) {
        let written = self.try_apply(object).await;
        written.unwrap_or_else(|error| give_up(&format!("{object} is refused"), &error));
    }

    /// Writes an object as a user would, and says what the API server said.
    pub async fn try_apply(&self, object: &Value) -> Result<DynamicObject, kube::Error> {
        let kind = self.kind(object["kind"].as_str().unwrap_or_default());
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams::apply("a-user").force();
        self.dynamic(kind).patch(name, &params, &Patch::Apply(object)).await
    }

    /// Changes an object by a merge patch, under a name of its own as a field manager.
    ///
    /// # Panics
    ///
    /// When the API server refuses it.
    pub async fn edit(&self, kind: &str, name: &str, patch: &Value) {
        let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        let edited = self.dynamic(self.kind(kind)).patch(name, &params, &Patch::Merge(patch)).await;
        edited.unwrap_or_else(|error| give_up(&format!("cannot edit {kind} {name}"), &error));
    }

    /// Deletes an object and returns at once.
    ///
    /// # Panics
    ///
    /// When the API server refuses it.
    pub async fn delete(&self, kind: &str, name: &str) {
        let deleted = self.dynamic(self.kind(kind)).delete(name, &DeleteParams::background()).await;
        deleted.map_or_else(|error| give_up(&format!("cannot delete {kind} {name}"), &error), drop);
    }

    /// An object, if it is there.
    ///
    /// # Panics
    ///
    /// When the API server cannot be asked.
    pub async fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let found = self.dynamic(self.kind(kind)).get_opt(name).await;
        let found = found.unwrap_or_else(|error| give_up(&format!("cannot read {kind} {name}"), &error));
        found.map(|object| serde_json::to_value(object).expect("an object has string keys"))
    }

    /// Waits until an object says that it is ready, as it is described now.
    ///
    /// # Panics
    ///
    /// When it does not in time, with what it says instead.
    pub async fn ready(&self, kind: &str, name: &str) {
        self.until_it_says(kind, name, "Ready", true).await;
    }

    /// Waits until an object says that the condition of that type holds, or does not, as it is described now.
    ///
    /// # Panics
    ///
    /// When it does not in time, with what it says instead.
    pub async fn until_it_says(&self, kind: &str, name: &str, type_: &str, holds: bool) {
        let begun = Instant::now();
        loop {
            let written = self.count_writes();
            if self.says(kind, name, type_, holds).await {
                return;
            }
            // Only a write can make it say something else.
            loop {
                if begun.elapsed() > DEADLINE {
                    self.tell_and_give_up(kind, name, &format!("{type_}: {holds}")).await;
                }
                tokio::time::sleep(PAUSE).await;
                if self.count_writes() != written {
                    break;
                }
            }
        }
    }

    /// Whether an object says that it is ready, as it is described now.
    pub async fn is_ready(&self, kind: &str, name: &str) -> bool {
        self.says(kind, name, "Ready", true).await
    }

    /// Whether an object says that the condition of that type holds, or that it does not, as it is described now.
    pub async fn says(&self, kind: &str, name: &str, type_: &str, holds: bool) -> bool {
        let status = if holds { "True" } else { "False" };
        self.get(kind, name).await.is_some_and(|object| condition(&object, type_) == Some(status))
    }

    /// Tells of this port from now on as `PORT`: it is of a server that only this space has. The first call counts.
    pub fn hide_port(&self, port: u16) {
        self.port.get_or_init(|| port);
    }

    /// Everything in the namespace.
    ///
    /// # Panics
    ///
    /// When the API server cannot be asked.
    pub async fn state(&self) -> State {
        self.state_of(self.objects().await)
    }

    fn state_of(&self, objects: Vec<Value>) -> State {
        let state = State::of(&self.name, objects);
        match self.port.get() {
            Some(port) => state.without_port(*port),
            None => state,
        }
    }

    /// Plays the garbage collector once: deletes what is owned by an object that is gone. Returns what is left.
    ///
    /// # Panics
    ///
    /// When the API server cannot be asked.
    pub async fn collect_garbage(&self) -> State {
        let objects = self.objects().await;
        if self.delete_orphans(&objects).await { self.state().await } else { self.state_of(objects) }
    }

    /// Whether there was any.
    async fn delete_orphans(&self, objects: &[Value]) -> bool {
        let alive: BTreeSet<&str> = objects.iter().filter_map(|object| object["metadata"]["uid"].as_str()).collect();
        let orphaned = |object: &&Value| {
            let owners = object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
            !owners.is_empty()
                && owners.iter().all(|owner| owner["uid"].as_str().is_none_or(|uid| !alive.contains(uid)))
        };
        let dying = |object: &&Value| !object["metadata"]["deletionTimestamp"].is_null();
        let orphans: Vec<&Value> = objects.iter().filter(orphaned).filter(|object| !dying(object)).collect();
        // What the operator has to let go comes before what it would ask on the way, such as a broker.
        for orphan in orphans.iter().rev() {
            let kind = self.kind(orphan["kind"].as_str().unwrap_or_default());
            let uid = orphan["metadata"]["uid"].as_str().map(str::to_owned);
            let this = DeleteParams {
                preconditions: Some(Preconditions { uid, resource_version: None }),
                ..DeleteParams::background()
            };
            // It may have gone meanwhile.
            let _ = self.dynamic(kind).delete(orphan["metadata"]["name"].as_str().unwrap_or_default(), &this).await;
        }
        !orphans.is_empty()
    }

    /// What operators wrote here since then.
    #[must_use]
    pub fn writes(&self, since: Mark) -> Vec<Write> {
        self.cluster.audit().by_operators(&self.name, since.max(self.begun))
    }

    /// How often anybody wrote here: as long as it stays the same, so does all that is here.
    #[must_use]
    pub fn count_writes(&self) -> usize {
        self.cluster.audit().count(&self.name)
    }

    /// How often operators made and deleted each object here.
    #[must_use]
    pub fn lives(&self, since: Mark) -> std::collections::BTreeMap<String, Lives> {
        self.cluster.audit().lives(&self.name, since.max(self.begun))
    }

    async fn tell_and_give_up(&self, kind: &str, name: &str, what: &str) {
        let object = self.get(kind, name).await.unwrap_or_default();
        let writes: Vec<String> = self.writes(Mark::BEGINNING).iter().map(ToString::to_string).collect();
        let state: Vec<String> = self.state().await.names().map(str::to_owned).collect();
        let message = format!(
            "{kind} {name} is not {what} after {DEADLINE:?}\nit says {:#}\nthere are {state:?}\noperators wrote\n{}",
            object["status"],
            writes.join("\n"),
        );
        give_up(&message, &"");
    }

    /// Everything in the namespace, as the last write left it.
    async fn objects(&self) -> Vec<Value> {
        let written = self.count_writes();
        let known = Some(self.seen()).filter(|seen| seen.written == written).and_then(|seen| seen.objects.clone());
        if let Some(objects) = known {
            return objects;
        }
        let objects = self.list().await;
        *self.seen() = Seen { written, objects: Some(objects.clone()) };
        objects
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Children before their owners: a child whose owner is not seen afterwards has lost it, and is not just new.
    async fn list(&self) -> Vec<Value> {
        let mut objects = Vec::new();
        for kind in self.cluster.kinds().iter().rev() {
            let listed = self.dynamic(kind).list(&ListParams::default()).await;
            let listed = listed.unwrap_or_else(|error| give_up(&format!("cannot list {}", kind.plural), &error));
            objects.extend(listed.items.into_iter().map(|mut object| {
                // Items of a list do not say what they are.
                object.types =
                    Some(kube::api::TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() });
                object.managed_fields_mut().clear();
                serde_json::to_value(object).expect("an object has string keys")
            }));
        }
        objects
    }

    fn dynamic(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.name, kind)
    }

    fn kind(&self, name: &str) -> &'a ApiResource {
        let found = self.cluster.kinds().iter().find(|kind| kind.kind == name);
        found.expect("a kind of the operator's or of its children")
    }
}

impl Debug for Space<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Space").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The status of a condition that was found at the object's own generation.
fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a str> {
    let generation = &object["metadata"]["generation"];
    if &object["status"]["observedGeneration"] != generation {
        return None;
    }
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == type_)?["status"].as_str()
}

#[expect(clippy::panic, reason = "a test whose control plane refuses has failed; the answer says why")]
fn give_up(what: &str, error: &dyn Debug) -> ! {
    panic!("{what}: {error:?}")
}
