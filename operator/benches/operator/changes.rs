//! From a change of a Store to the change of a Deployment: by the operator, and by a client that does nothing else.

use std::time::{Duration, Instant};

use kubekit::Space;
use serde_json::{Value, json};

use crate::{
    bare::Bare,
    shops::{NAME, VERSION},
    watch::{Deployments, MARK},
};

/// The service that is changed, and its Deployment.
pub(crate) const DEPLOYMENT: &str = "shop-catalog";
/// The service that is rolled out first.
const FIRST: &str = "shop-auth";

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

/// The change of a Store: a variable of one of its services.
pub(crate) fn marked(mark: &str) -> Value {
    json!({"spec": {"services": [{"name": "catalog", "env": [{"name": MARK, "value": mark}]}]}})
}

/// Changes one store after the other, each when the one before is ready, and lets a bare client make the same writes in
/// between. Every `round` has marks of its own. The operator's times, then the bare client's.
pub(crate) async fn measure(
    shops: &[Space<'_>],
    bare: &Bare<'_>,
    seen: &Deployments,
    (changes, round): (u32, &str),
) -> (Percentiles, Percentiles) {
    let (mut operator, mut alone) = (Vec::new(), Vec::new());
    for change in 0..changes as usize {
        // Spread over all of them, by a step that has no divisor in common with usual numbers.
        let shop = &shops[change.wrapping_mul(7919) % shops.len()];
        let mark = format!("{round}-{change}");
        // With many stores, the connection to this one may have been closed since: setting it up is nobody's write.
        shop.ready("Store", NAME).await;
        let begun = Instant::now();
        shop.edit("Store", NAME, &marked(&mark)).await;
        operator.push(has_mark(seen, shop, begun, &mark).await - begun);
        shop.ready("Store", NAME).await;
        alone.push(bare.change(seen, &mark).await);
    }
    (Percentiles::of(operator), Percentiles::of(alone))
}

async fn has_mark(seen: &Deployments, shop: &Space<'_>, since: Instant, mark: &str) -> Instant {
    seen.first(shop.name(), DEPLOYMENT, since, |it| it.mark.as_deref() == Some(mark)).await
}

/// Changes a Deployment by hand, and waits until it is as it was.
pub(crate) async fn measure_drift(shop: &Space<'_>, seen: &Deployments, times: u32) -> Percentiles {
    let mut taken = Vec::new();
    for change in 0..times {
        let wrong = format!("registry.example/wrong:{change}");
        let containers = json!([{"name": "service", "image": wrong}]);
        let begun = Instant::now();
        let by_hand = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        shop.edit("Deployment", DEPLOYMENT, &by_hand).await;
        let drifted = seen.first(shop.name(), DEPLOYMENT, begun, |it| it.image == wrong).await;
        taken.push(seen.first(shop.name(), DEPLOYMENT, drifted, |it| it.image != wrong).await - begun);
        shop.ready("Store", NAME).await;
    }
    Percentiles::of(taken)
}

/// Upgrades to versions whose pods never become ready. From the word of the first Deployment that it missed its deadline to
/// the word that it has the image of before.
pub(crate) async fn measure_rollback(shop: &Space<'_>, seen: &Deployments, times: u32) -> Percentiles {
    let mut taken = Vec::new();
    for round in 0..times {
        let bad = format!("2.0.{round}-broken");
        let begun = Instant::now();
        shop.edit("Store", NAME, &json!({"spec": {"version": bad}})).await;
        let failed = seen.first(shop.name(), FIRST, begun, |it| it.late && it.image.ends_with(&bad)).await;
        taken.push(seen.first(shop.name(), FIRST, failed, |it| it.image.ends_with(VERSION)).await - failed);
        shop.until_it_says("Store", NAME, "Degraded", true).await;
        shop.edit("Store", NAME, &json!({"spec": {"version": VERSION}})).await;
        shop.ready("Store", NAME).await;
    }
    Percentiles::of(taken)
}
