//! Figures of the operator on a control plane without nodes, as one JSON object; `cargo xtask bench operator` runs this
//! and writes docs/benchmarks.md.

#[expect(clippy::unwrap_used, reason = "a helper of tests too, where what fails fails the test")]
#[path = "../../tests/common/candidates.rs"]
mod candidates;
mod changes;
#[expect(clippy::unwrap_used, reason = "a helper of tests too, where what fails fails the test")]
#[path = "../../tests/common/own_server.rs"]
mod own_server;
mod process;
#[path = "../../tests/control_plane/setup.rs"]
mod setup;
mod stores;
mod takeover;
mod watch;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use kubekit::{Cluster, Operator, Space};
use serde_json::{Value, json};

use self::{
    changes::{Percentiles, Place},
    process::Usage,
    setup::program,
};

/// Services there are when latency is taken for the first time.
const FEW: u32 = 10;
/// Services that are made at the same time.
const TOGETHER: usize = 8;

#[derive(Debug, Parser)]
struct Options {
    /// Services for the second half
    #[arg(long, default_value_t = 500)]
    services: u32,
    /// Changes that are timed, at each size
    #[arg(long, default_value_t = 100)]
    changes: u32,
    /// Seconds of rest
    #[arg(long, default_value_t = 600)]
    rest: u64,
    /// Whole stores whose memory is measured
    #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u16).range(i64::from(stores::FEW) + 1..))]
    stores: u16,
    /// Leaders that end, of each kind of end
    #[arg(long, default_value_t = 10)]
    takeovers: u32,
    /// Where the figures are written
    #[arg(long)]
    output: PathBuf,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(measure(&options))?;
    fs::write(&options.output, figures.to_string())
        .with_context(|| format!("cannot write {}", options.output.display()))
}

async fn measure(options: &Options) -> Result<Value> {
    let cluster = setup::cluster().await;
    let stores = stores::measure(cluster, options.stores).await?;
    let farewell = takeover::after_a_farewell(cluster, options.takeovers).await;
    let crash = takeover::after_a_crash(cluster, options.takeovers).await;
    // Where the operator looks, and where nobody but the bare client is.
    let (watched, bare) = (Place::new(cluster.space().await), Place::new(cluster.space().await));
    let operator = watched.space.operator(program(), None).await;
    let empty = process::memory(operator.pid())?;
    let (changes, services) = (options.changes, options.services.max(FEW));

    fill(&watched.space, 0..FEW).await;
    changes::prepare_bare(&bare, &watched).await;
    changes::measure(&watched, &bare, FEW, FEW, "warm-up").await;
    let warm = process::memory(operator.pid())?;
    let (few, bare_few) = changes::measure(&watched, &bare, changes, FEW, "few").await;
    let drift = changes::measure_drift(&watched, changes.min(20)).await;

    fill(&watched.space, FEW..services).await;
    let (many, bare_many) = changes::measure(&watched, &bare, changes, services, "many").await;
    let rest = rest(cluster, &watched.space, &operator, Duration::from_secs(options.rest)).await?;
    let full = process::memory(operator.pid())?;
    Ok(json!({
        "services": services, "few": FEW, "changes": changes, "rest_seconds": options.rest,
        "latency_few": few, "bare_few": bare_few, "latency_many": many, "bare_many": bare_many, "drift": drift,
        "takeovers": options.takeovers, "takeover_farewell": farewell, "takeover_crash": crash,
        "writes_at_rest": rest.writes, "cpu_percent": rest.cpu_percent, "memory_base_kib": empty, "memory_full_kib": full,
        "stores": options.stores, "store_objects": stores.objects, "few_stores": stores::FEW,
        "memory_few_stores_kib": stores.few, "memory_stores_kib": stores.full, "memory_warm_kib": warm, "objects": watched.space.state().await.names().count(),
    }))
}

/// Makes services of those numbers, and waits until all are ready.
async fn fill(space: &Space<'_>, numbers: std::ops::Range<u32>) {
    use futures::StreamExt as _;
    let make = async |number: u32| {
        space.apply(&changes::service(number, 0)).await;
        space.ready("StoreService", &changes::name(number)).await;
    };
    futures::stream::iter(numbers).for_each_concurrent(TOGETHER, make).await;
}

struct Rest {
    writes: usize,
    cpu_percent: f64,
}

/// What the operator does while nothing changes.
async fn rest(cluster: &Cluster, space: &Space<'_>, operator: &Operator, time: Duration) -> Result<Rest> {
    // The events about the last change are still on their way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (mark, before) = (cluster.audit().mark(), Usage::of(operator.pid())?);
    tokio::time::sleep(time).await;
    let cpu_percent = Usage::of(operator.pid())?.percent_since(&before);
    Ok(Rest { writes: space.writes(mark).len(), cpu_percent })
}

/// Milliseconds, as the figures have them.
impl serde::Serialize for Percentiles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
        json!({"p50": ms(self.p50), "p99": ms(self.p99)}).serialize(serializer)
    }
}
