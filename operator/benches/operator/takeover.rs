//! How soon the next leader writes after the end of the one before.

use std::time::{Duration, Instant};

use kubekit::{Cluster, Operator};
use serde_json::{Value, json};

use crate::{
    candidates::{leader_and_standby, taken_over},
    changes::Percentiles,
};

/// How long is waited for a leader.
const LIMIT: Duration = Duration::from_mins(1);

/// After a leader was asked to end.
pub(crate) async fn after_a_farewell(cluster: &Cluster, rounds: u32) -> Percentiles {
    after(cluster, rounds, Operator::terminate).await
}

/// After a leader was killed.
pub(crate) async fn after_a_crash(cluster: &Cluster, rounds: u32) -> Percentiles {
    after(cluster, rounds, Operator::kill).await
}

async fn after(cluster: &Cluster, rounds: u32, end: fn(&Operator)) -> Percentiles {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let space = cluster.space().await;
        let (leader, standby) = leader_and_standby(&space, &service(1)).await;
        let begun = Instant::now();
        end(&leader);
        times.push(taken_over(&space, &standby, service, (begun, LIMIT)).await);
    }
    Percentiles::of(times)
}

/// A service with a number that makes a difference to what is written for it.
fn service(number: u32) -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService", "metadata": {"name": "bench"},
        "spec": {
            "store": "bench", "image": format!("registry.example/shop:{number}"), "args": ["catalog"],
            "ports": [{"name": "http", "port": 8080}, {"name": "ops", "port": 9100}],
        },
    })
}
