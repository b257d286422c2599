//! From a change of a service to the change of its Deployment: by the operator, and by a client that does nothing else.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use kubekit::Space;
use serde_json::{Value, json};

use crate::watch::Deployments;

/// Half of the times are shorter than the first, one in a hundred is longer than the second (nearest rank).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percentiles {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Percentiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let rank = |percent: usize| (times.len() * percent).div_ceil(100).clamp(1, times.len());
        Self { p50: times[rank(50) - 1], p99: times[rank(99) - 1] }
    }
}

/// The name of a service.
pub(crate) fn name(number: u32) -> String {
    format!("bench-{number}")
}

/// A service with all its children, and one of its images.
pub(crate) fn service(number: u32, image: u32) -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService", "metadata": {"name": name(number)},
        "spec": {
            "store": "bench", "image": self::image(image), "args": ["catalog"],
            "ports": [{"name": "http", "port": 8080}, {"name": "ops", "port": 9100}],
            "autoscaling": {"minReplicas": 2, "maxReplicas": 4},
        },
    })
}

fn image(number: u32) -> String {
    format!("registry.example/shop:{number}")
}

/// A namespace and what is told of its Deployments.
pub(crate) struct Place<'a> {
    pub(crate) space: Space<'a>,
    pub(crate) seen: Deployments,
}

impl<'a> Place<'a> {
    pub(crate) fn new(space: Space<'a>) -> Self {
        Self { seen: Deployments::watch(&space), space }
    }
}

/// Changes one service after the other, each when the one before is ready, and lets a bare client make the same writes in
/// between. Every `round` has images of its own. The operator's times, then the bare client's.
pub(crate) async fn measure(
    watched: &Place<'_>,
    bare: &Place<'_>,
    changes: u32,
    services: u32,
    round: &str,
) -> (Percentiles, Percentiles) {
    let (mut operator, mut alone) = (Vec::new(), Vec::new());
    for change in 0..changes {
        // Spread over all of them, by a step that has no divisor in common with usual sizes.
        let service = name(change.wrapping_mul(7919) % services);
        let image = format!("{}-{round}-{change}", image(1));
        let begun = Instant::now();
        watched.space.edit("StoreService", &service, &json!({"spec": {"image": image}})).await;
        operator.push(watched.seen.has(&service, &image).await - begun);
        watched.space.ready("StoreService", &service).await;
        alone.push(by_bare_client(bare, &image).await);
    }
    (Percentiles::of(operator), Percentiles::of(alone))
}

/// The same two writes, one after the other, by a client that has nothing to find out.
async fn by_bare_client(bare: &Place<'_>, image: &str) -> Duration {
    let api = bare.space.api::<Deployment>();
    let mut deployment = bare.space.get("Deployment", &name(0)).await.expect("the copy is there");
    strip(&mut deployment);
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    let begun = Instant::now();
    bare.space.edit("StoreService", &name(0), &json!({"spec": {"image": image}})).await;
    let params = PatchParams::apply("bare").force();
    api.patch_metadata(&name(0), &params, &Patch::Apply(&deployment)).await.expect("a Deployment is written");
    bare.seen.has(&name(0), image).await - begun
}

/// Copies a service and its Deployment to where no operator looks.
pub(crate) async fn prepare_bare(bare: &Place<'_>, watched: &Place<'_>) {
    bare.space.apply(&service(0, 0)).await;
    let mut deployment = watched.space.get("Deployment", &name(0)).await.expect("the operator made a Deployment");
    strip(&mut deployment);
    bare.space.apply(&deployment).await;
}

/// Leaves of an object what somebody would write.
fn strip(deployment: &mut Value) {
    deployment["metadata"] = json!({"name": name(0), "labels": deployment["metadata"]["labels"]});
    deployment.as_object_mut().expect("a Deployment is an object").remove("status");
}

/// Changes a Deployment by hand, and waits until it is as it was.
pub(crate) async fn measure_drift(watched: &Place<'_>, changes: u32) -> Percentiles {
    let Place { space, seen } = watched;
    let mut times = Vec::new();
    for change in 0..changes {
        let (service, right, wrong) = (name(0), image(change), format!("registry.example/wrong:{change}"));
        space.edit("StoreService", &service, &json!({"spec": {"image": right}})).await;
        seen.has(&service, &right).await;
        space.ready("StoreService", &service).await;
        let containers = json!([{"name": "service", "image": wrong}]);
        let begun = Instant::now();
        let by_hand = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        space.edit("Deployment", &service, &by_hand).await;
        seen.has(&service, &wrong).await;
        times.push(seen.has(&service, &right).await - begun);
    }
    Percentiles::of(times)
}
