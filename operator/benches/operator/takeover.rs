//! How soon the next leader writes after the end of the one before.

use std::time::{Duration, Instant};

use kubekit::{Cluster, Operator};

use crate::{
    candidates::{leader_and_standby, taken_over},
    changes::{Percentiles, service},
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
        let (leader, standby) = leader_and_standby(&space, &service(0, 1)).await;
        let begun = Instant::now();
        end(&leader);
        times.push(taken_over(&space, &standby, |image| service(0, image), (begun, LIMIT)).await);
    }
    Percentiles::of(times)
}
