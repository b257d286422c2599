//! Figures of the operator on a control plane without nodes, as one JSON object; `cargo xtask bench operator` runs this
//! and writes docs/benchmarks.md.

mod bare;
#[expect(clippy::unwrap_used, reason = "a helper of tests too, where what fails fails the test")]
#[path = "../../tests/common/candidates.rs"]
mod candidates;
mod changes;
#[expect(clippy::unwrap_used, reason = "a helper of tests too, where what fails fails the test")]
#[path = "../../tests/common/own_server.rs"]
mod own_server;
mod pods;
mod process;
#[path = "../../tests/control_plane/setup.rs"]
mod setup;
mod shops;
mod takeover;
mod watch;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use kubekit::{Cluster, Launch, Operator};
use serde_json::{Value, json};

use self::{bare::Bare, changes::Percentiles, process::Usage, setup::program, shops::Shops, watch::Deployments};

/// Stores there are when latency is taken for the first time.
const FEW: u32 = 10;

#[derive(Debug, Parser)]
struct Options {
    /// Stores for the second half
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(i64::from(FEW) + 1..))]
    stores: u32,
    /// Changes that are timed, at each size
    #[arg(long, default_value_t = 300)]
    changes: u32,
    /// Times that a Deployment is changed by hand, that a version is taken back, and that a database server refuses a login
    #[arg(long, default_value_t = 20)]
    repairs: u32,
    /// Seconds of rest
    #[arg(long, default_value_t = 600)]
    rest: u64,
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
    let farewell = takeover::after_a_farewell(cluster, options.takeovers).await;
    let crash = takeover::after_a_crash(cluster, options.takeovers).await;

    // As it is installed: it leads as long as it renews its lease.
    let operator = Launch::new(program()).candidate("default").start(cluster);
    operator.ready().await;
    let empty = process::memory(operator.pid())?;
    let (mut shops, seen) = (Shops::none(cluster).await?, Deployments::watch(cluster));
    shops.grow_to(FEW as usize).await;
    let first = &shops.spaces[0];
    let bare = Bare::copy(cluster, first).await;
    changes::measure(&shops.spaces, &bare, &seen, (FEW, "warm-up")).await;
    let (few, bare_few) = changes::measure(&shops.spaces, &bare, &seen, (options.changes, "few")).await;
    let drift = changes::measure_drift(first, &seen, options.repairs).await;
    let rollback = changes::measure_rollback(first, &seen, options.repairs).await;
    let (refused, healed) = shops.measure_refusal(options.repairs).await?;
    let warm = process::memory(operator.pid())?;

    shops.grow_to(options.stores as usize).await;
    let (many, bare_many) = changes::measure(&shops.spaces, &bare, &seen, (options.changes, "many")).await;
    let rest = rest(cluster, &operator, Duration::from_secs(options.rest)).await?;
    let full = process::memory(operator.pid())?;
    let (beside_broken, _) =
        changes::measure(shops.break_last().await, &bare, &seen, (options.changes, "broken")).await;
    Ok(json!({
        "stores": options.stores, "few": FEW, "objects": shops.objects().await, "changes": options.changes,
        "latency_few": few, "bare_few": bare_few, "latency_many": many, "bare_many": bare_many, "latency_beside_broken": beside_broken,
        "repairs": options.repairs, "drift": drift, "rollback": rollback,
        "refusal_told": refused, "refusal_healed": healed,
        "takeovers": options.takeovers, "takeover_farewell": farewell, "takeover_crash": crash,
        "rest_seconds": options.rest, "writes_at_rest": rest.writes, "cpu_percent": rest.cpu_percent,
        "memory_base_kib": empty, "memory_few_kib": warm, "memory_full_kib": full,
    }))
}

struct Rest {
    writes: usize,
    cpu_percent: f64,
}

/// What the operator does while nothing changes.
async fn rest(cluster: &Cluster, operator: &Operator, time: Duration) -> Result<Rest> {
    // The events about the last change are still on their way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (mark, before) = (cluster.audit().mark(), Usage::of(operator.pid())?);
    tokio::time::sleep(time).await;
    let cpu_percent = Usage::of(operator.pid())?.percent_since(&before)?;
    let written = cluster.audit().since(mark);
    let writes = written.iter().filter(|write| write.is_by_operator() && !write.is_lease()).count();
    Ok(Rest { writes, cpu_percent })
}

/// Milliseconds, as the figures have them.
impl serde::Serialize for Percentiles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
        json!({"p50": ms(self.p50), "p99": ms(self.p99)}).serialize(serializer)
    }
}
