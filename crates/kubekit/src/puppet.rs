//! Plays those controllers of Kubernetes that would need nodes: says of every workload that it has rolled out, of every
//! Job that it is done, and of every claim that it is bound; and keeps the pods of what is autoscaled within bounds.
//!
//! Pods of an image with `broken` in its name never become ready: a Deployment of them misses its deadline at once.

use std::{
    collections::HashMap,
    fmt::Debug,
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, PodTemplateSpec},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

/// Objects of one kind that are looked after at the same time.
const CONCURRENCY: usize = 16;
/// Between two attempts at a watch that broke.
const AGAIN: Duration = Duration::from_secs(1);
/// What an image has in its name whose pods never become ready.
const BROKEN: &str = "broken";
/// The name of a revision: workloads here have one at a time.
const REVISION: &str = "present";

/// A kind whose part in the world the puppet plays.
trait Played: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned {
    /// The status that its controller would write by now, unless the object has it.
    fn next_status(&self) -> Option<Value>;

    /// The number of pods that an autoscaler would set, unless the object has it.
    fn next_replicas(&self, _: &Bounds) -> Option<i32> {
        None
    }
}

/// The fewest and the most pods of what is autoscaled, by namespace and name.
#[derive(Default)]
struct Bounds(Mutex<HashMap<(String, String), (i32, i32)>>);

impl Bounds {
    fn set(&self, namespace: String, name: String, bounds: Option<(i32, i32)>) {
        let mut all = self.0.lock().expect("no code panics while holding this lock");
        match bounds {
            Some(bounds) => all.insert((namespace, name), bounds),
            None => all.remove(&(namespace, name)),
        };
    }

    fn of(&self, namespace: &str, name: &str) -> Option<(i32, i32)> {
        let all = self.0.lock().expect("no code panics while holding this lock");
        all.get(&(namespace.to_owned(), name.to_owned())).copied()
    }
}

/// Plays until the tasks are dropped.
pub(crate) fn play(client: &Client, tasks: &mut JoinSet<()>) {
    let bounds = Arc::new(Bounds::default());
    tasks.spawn(autoscale(client.clone(), bounds.clone()));
    tasks.spawn(play_kind::<Deployment>(client.clone(), bounds.clone()));
    tasks.spawn(play_kind::<StatefulSet>(client.clone(), bounds.clone()));
    tasks.spawn(play_kind::<Job>(client.clone(), bounds.clone()));
    tasks.spawn(play_kind::<PersistentVolumeClaim>(client.clone(), bounds));
}

/// Notes the bounds, and looks at the workload whenever they change.
async fn autoscale(client: Client, bounds: Arc<Bounds>) {
    let all: Api<HorizontalPodAutoscaler> = Api::all(client.clone());
    let events = again(watcher::watcher(all, watcher::Config::default()));
    let look = async |event: Event<HorizontalPodAutoscaler>| {
        let (scaler, alive) = match event {
            Event::Apply(scaler) | Event::InitApply(scaler) => (scaler, true),
            Event::Delete(scaler) => (scaler, false),
            Event::Init | Event::InitDone => return,
        };
        let (namespace, name) = (scaler.namespace().unwrap_or_default(), scaler.spec.scale_target_ref.name.clone());
        let range = (scaler.spec.min_replicas.unwrap_or(1), scaler.spec.max_replicas);
        bounds.set(namespace.clone(), name.clone(), alive.then_some(range));
        let target: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
        if let Ok(Some(deployment)) = target.get_opt(&name).await {
            play_object(client.clone(), deployment, &bounds).await;
        }
    };
    events.filter_map(|event| ready(event.ok())).for_each(look).await;
}

async fn play_kind<K: Played + Send + Sync + 'static>(client: Client, bounds: Arc<Bounds>) {
    let watched = watcher::watcher(Api::<K>::all(client.clone()), watcher::Config::default());
    again(watched)
        .applied_objects()
        .filter_map(|object| ready(object.ok()))
        .for_each_concurrent(CONCURRENCY, |object| play_object(client.clone(), object, &bounds))
        .await;
}

/// What a watch tells. One that broke begins again soon, however often: whatever a test did to the API server, the cluster works
/// on as soon as it is back.
fn again<K: Send + 'static>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
) -> BoxStream<'static, Result<Event<K>, watcher::Error>> {
    let patient = events.then(async |event| {
        if event.is_err() {
            sleep(AGAIN).await;
        }
        event
    });
    patient.boxed()
}

async fn play_object<K: Played>(client: Client, object: K, bounds: &Bounds) {
    let api: Api<K> = Api::namespaced(client.clone(), object.namespace().as_deref().unwrap_or_default());
    let (name, params) = (object.name_any(), PatchParams::default());
    if let Some(replicas) = object.next_replicas(bounds) {
        // The event of its end may still be on its way.
        if bounds_are_old(client, &object).await {
            return;
        }
        let scale = json!({"metadata": {"uid": object.uid()}, "spec": {"replicas": replicas}});
        let _ = api.patch_metadata(&name, &params, &Patch::Merge(scale)).await;
    } else if object.meta().deletion_timestamp.is_some() {
        // Nothing uses it any more, so nothing protects it.
        let free = Patch::Merge(json!({"metadata": {"uid": object.uid(), "finalizers": null}}));
        let _ = api.patch_metadata(&name, &params, &free).await;
    } else if let Some(status) = object.next_status() {
        // It may have gone or changed meanwhile: then another event comes.
        let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
        let _ = api.patch_status(&name, &params, &Patch::Merge(patch)).await;
    }
}

/// Whether no autoscaler aims at the object any more.
async fn bounds_are_old<K: Played>(client: Client, object: &K) -> bool {
    let name = object.name_any();
    let scalers: Api<HorizontalPodAutoscaler> =
        Api::namespaced(client, object.namespace().as_deref().unwrap_or_default());
    let all = scalers.list(&ListParams::default()).await;
    all.is_ok_and(|all| all.items.iter().all(|scaler| scaler.spec.scale_target_ref.name != name))
}

fn is_broken(pods: &PodTemplateSpec) -> bool {
    let containers = pods.spec.iter().flat_map(|pod| &pod.containers);
    containers.filter_map(|container| container.image.as_deref()).any(|image| image.contains(BROKEN))
}

impl Played for Deployment {
    fn next_status(&self) -> Option<Value> {
        let replicas = self.spec.replicas.unwrap_or(1);
        let status = self.status.as_ref();
        let counts = |status: &k8s_openapi::api::apps::v1::DeploymentStatus| {
            [status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas]
        };
        let works = if is_broken(&self.spec.template) { 0 } else { replicas };
        let missed = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        let held = status.map(|status| (status.observed_generation, counts(status).map(Option::unwrap_or_default)));
        (held != Some((self.metadata.generation, [replicas, replicas, works, works]))).then(|| {
            json!({
                "observedGeneration": self.metadata.generation, "replicas": replicas, "updatedReplicas": replicas,
                "readyReplicas": works, "availableReplicas": works,
                "conditions": if works < replicas { missed } else { Value::Null },
            })
        })
    }

    fn next_replicas(&self, bounds: &Bounds) -> Option<i32> {
        let (least, most) = bounds.of(self.metadata.namespace.as_deref()?, self.metadata.name.as_deref()?)?;
        let (now, dying) = (self.spec.replicas.unwrap_or(1), self.metadata.deletion_timestamp.is_some());
        Some(now.clamp(least, most.max(least))).filter(|wanted| *wanted != now && !dying)
    }
}

impl Played for StatefulSet {
    fn next_status(&self) -> Option<Value> {
        let replicas = self.spec.replicas.unwrap_or(1);
        let works = if is_broken(&self.spec.template) { 0 } else { replicas };
        let held = self.status.as_ref().map(|status| (status.observed_generation, status.ready_replicas.unwrap_or(0)));
        (held != Some((self.metadata.generation, works))).then(|| {
            json!({
                "observedGeneration": self.metadata.generation, "replicas": replicas, "currentReplicas": replicas,
                "updatedReplicas": replicas, "readyReplicas": works, "availableReplicas": works,
                "currentRevision": REVISION, "updateRevision": REVISION,
            })
        })
    }
}

impl Played for Job {
    fn next_status(&self) -> Option<Value> {
        let done = self.status.as_ref().and_then(|status| status.completion_time.as_ref()).is_some();
        // Any time will do, and this one needs no clock.
        let at = &self.metadata.creation_timestamp;
        let condition = |type_| json!({"type": type_, "status": "True", "lastTransitionTime": at});
        (!done).then(|| {
            json!({
                "startTime": at, "completionTime": at, "succeeded": 1, "uncountedTerminatedPods": {},
                "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
            })
        })
    }
}

impl Played for PersistentVolumeClaim {
    fn next_status(&self) -> Option<Value> {
        let spec = self.spec.as_ref()?;
        let wanted = spec.resources.as_ref()?.requests.as_ref()?;
        let held = self.status.as_ref();
        let bound = held.and_then(|status| status.phase.as_deref()) == Some("Bound");
        let filled = held.and_then(|status| status.capacity.as_ref()) == Some(wanted);
        (!bound || !filled).then(|| json!({"phase": "Bound", "capacity": wanted, "accessModes": spec.access_modes}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(generation: i64, status: &Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"generation": generation}, "spec": {"replicas": 2, "selector": {}, "template": {}},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_deployment_has_rolled_out_once_its_own_generation_is_observed() {
        let first = deployment(1, &json!({})).next_status().unwrap();
        assert_eq!((&first["observedGeneration"], &first["availableReplicas"]), (&json!(1), &json!(2)));
        assert_eq!(deployment(1, &first).next_status(), None);
        assert_eq!(deployment(2, &first).next_status().unwrap()["observedGeneration"], 2);
    }

    #[test]
    fn a_deployment_of_a_broken_image_misses_its_deadline_until_it_has_another() {
        let image = |image: &str, generation| {
            let mut deployment = deployment(generation, &json!({}));
            let template = json!({"spec": {"containers": [{"name": "x", "image": image}]}});
            deployment.spec.template = serde_json::from_value(template).unwrap();
            deployment
        };
        let stuck = image("shop:2.0.0-broken", 1).next_status().unwrap();
        assert_eq!(stuck["readyReplicas"], 0);
        assert_eq!(stuck["conditions"][0]["reason"], "ProgressDeadlineExceeded");
        let works = image("shop:1.0.0", 2).next_status().unwrap();
        assert_eq!((&works["readyReplicas"], &works["conditions"]), (&json!(2), &Value::Null));
    }

    #[test]
    fn an_autoscaled_deployment_stays_within_its_bounds() {
        let bounds = Bounds::default();
        let mut two = deployment(1, &json!({}));
        (two.metadata.namespace, two.metadata.name) = (Some("a".to_owned()), Some("x".to_owned()));
        assert_eq!(two.next_replicas(&bounds), None);
        for (range, wanted) in [((3, 5), Some(3)), ((1, 1), Some(1)), ((1, 2), None)] {
            bounds.set("a".to_owned(), "x".to_owned(), Some(range));
            assert_eq!(two.next_replicas(&bounds), wanted);
        }
    }

    #[test]
    fn a_workload_without_pods_is_left_alone_once_observed() {
        let mut none = deployment(1, &json!({"observedGeneration": 1}));
        none.spec.replicas = Some(0);
        assert_eq!(none.next_status(), None);
    }
}
