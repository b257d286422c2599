//! `cargo xtask bench operator`: the operator's own figures, on etcd and an API server without nodes.

use std::{fmt::Write as _, fs};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Deserialize;

use super::{machine, page};
use crate::{
    images, tools,
    ui::{self, Step, Ui},
    workspace,
};

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Services there are when latency is taken for the second time, and at rest
    #[arg(long, default_value_t = 500)]
    services: u32,

    /// Changes that are timed, with few services and with many
    #[arg(long, default_value_t = 100)]
    changes: u32,

    /// Whole stores whose memory is measured, all on one PostgreSQL server
    #[arg(long, default_value_t = 72)]
    stores: u32,

    /// Leaders that end, as many by a signal that they can answer as by one that they cannot
    #[arg(long, default_value_t = 10)]
    takeovers: u32,

    /// Seconds in which nothing changes
    #[arg(long, default_value_t = 600)]
    rest: u32,

    /// Measure the debug build and only print the figures: a look whether it works
    #[arg(long)]
    debug: bool,
}

/// What the bench of the `operator` package writes. Times are in milliseconds.
#[derive(Debug, Deserialize)]
struct Figures {
    services: u32,
    few: u32,
    changes: u32,
    rest_seconds: u32,
    latency_few: Percentiles,
    bare_few: Percentiles,
    latency_many: Percentiles,
    bare_many: Percentiles,
    drift: Percentiles,
    takeovers: u32,
    takeover_farewell: Percentiles,
    takeover_crash: Percentiles,
    writes_at_rest: u32,
    cpu_percent: f64,
    memory_base_kib: f64,
    memory_warm_kib: f64,
    memory_full_kib: f64,
    objects: u32,
    stores: u32,
    store_objects: u32,
    few_stores: u32,
    memory_few_stores_kib: f64,
    memory_stores_kib: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

/// Measures, and writes docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<()> {
    let ui = Ui::new(&workspace::root().join("target/bench"))?;
    let machine = machine::describe()?;
    ui.step("Tools", tools::link_control_plane)?;
    let figures = ui.step("Operator", |step| measure(step, options))?;
    let text = render(&machine, &figures);
    if !options.debug {
        page::write(&workspace::root().join("docs/benchmarks.md"), page::OPERATOR_ALONE, &text)?;
    }
    ui::line(&text);
    ui::line(&ui.timings());
    Ok(())
}

fn measure(step: &Step, options: &Options) -> Result<Figures> {
    let output = workspace::root().join("target/bench/operator.json");
    let bench = step.command("cargo").args(["bench", "--locked", "--package", "operator", "--bench", "operator"]);
    let bench = if options.debug { bench.args(["--profile", "dev"]) } else { images::as_released(bench) };
    bench
        .arg("--")
        .args(["--services", &options.services.to_string()])
        .args(["--changes", &options.changes.to_string()])
        .args(["--stores", &options.stores.to_string()])
        .args(["--takeovers", &options.takeovers.to_string()])
        .args(["--rest", &options.rest.to_string()])
        .arg("--output")
        .arg(&output)
        .directory(&workspace::root())
        .run()?;
    let text = fs::read_to_string(&output).with_context(|| format!("cannot read {}", output.display()))?;
    serde_json::from_str(&text).context("the bench wrote other figures than expected")
}

fn render(machine: &str, figures: &Figures) -> String {
    let Figures { services, few, changes, takeovers, rest_seconds, objects, stores, few_stores, store_objects, .. } =
        figures;
    let mut text = format!(
        "Machine: {machine}.\n\n\
         The operator as a process of its own, against etcd (in memory, without fsync) and one API server \
         on the same machine, which take most of the time measured here. No nodes: a puppet in the measuring process writes \
         the statuses of Deployments. Every service has a ServiceAccount, a Deployment, a Service, an autoscaler and a \
         disruption budget.\n\n\
         A change is a new image in the spec of a StoreService, {changes} times one after the other, over all services in \
         turn; the time runs from before the change is sent until a watch tells of the Deployment with that image. The bare \
         client makes the same two writes after each of them, where no operator looks, and knows beforehand what to write. \
         A whole store is one with every default in a namespace of its own, on one PostgreSQL server with all others; what is there \
         of it are its objects, not the pods that nodes would make of them. \
         Drift is a Deployment's image changed by hand, until a watch tells that it is back. \
         A leader ends {takeovers} times by SIGTERM and {takeovers} times by SIGKILL beside one that stands by, while a client \
         changes a service every 50 ms; the time runs from the signal until the other one has written.\n\n\
         | | p50, ms | p99, ms |\n|---|---:|---:|\n",
    );
    let mut row = |name: &str, times: Percentiles| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name} | {:.1} | {:.1} |", times.p50, times.p99);
    };
    row(&format!("change → child written, {few} services"), figures.latency_few);
    row(&format!("bare client, {few} services"), figures.bare_few);
    row(&format!("change → child written, {services} services"), figures.latency_many);
    row(&format!("bare client, {services} services"), figures.bare_many);
    row(&format!("drift undone, {few} services"), figures.drift);
    row("the next leader's first write after a farewell", figures.takeover_farewell);
    row("… after a crash", figures.takeover_crash);
    let (few_times, many, bare) = (figures.latency_few, figures.latency_many, figures.bare_few);
    let _ = write!(
        text,
        "\n| | |\n|---|---:|\n\
         | p50 of the operator ÷ of the bare client | {:.2} |\n\
         | p99 of the operator ÷ of the bare client | {:.2} |\n\
         | p99 at {services} services ÷ at {few} | {:.2} |\n\
         | writes in {rest_seconds} s at rest, {services} services | {} |\n\
         | … in an hour of the same | {:.0} |\n\
         | processor time at rest, per cent of a core | {:.2} |\n\
         | resident memory without objects, MiB | {:.1} |\n\
         | resident memory with {few} services, after {few} changes of them, MiB | {:.1} |\n\
         | resident memory with {services} services ({objects} objects), MiB | {:.1} |\n\
         | … a service more, with its children, KiB | {:.1} |\n\
         | a whole store more ({store_objects} objects), from {few_stores} stores to {stores}, KiB | {:.1} |\n\n\
         Writes are those of the operator in the API server's audit log, leases apart. Processor time is that of all threads \
         in `/proc/<pid>/task/*/schedstat`, memory is `VmRSS` of `/proc/<pid>/status`.\n",
        few_times.p50 / bare.p50,
        few_times.p99 / bare.p99,
        many.p99 / few_times.p99,
        figures.writes_at_rest,
        f64::from(figures.writes_at_rest) * 3600.0 / f64::from(*rest_seconds),
        figures.cpu_percent,
        figures.memory_base_kib / 1024.0,
        figures.memory_warm_kib / 1024.0,
        figures.memory_full_kib / 1024.0,
        (figures.memory_full_kib - figures.memory_warm_kib) / f64::from(services - few),
        (figures.memory_stores_kib - figures.memory_few_stores_kib) / f64::from(stores - few_stores),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_bench_become_ratios() {
        let times = |p50: f64, p99: f64| serde_json::json!({"p50": p50, "p99": p99});
        let figures = serde_json::json!({
            "services": 500, "few": 10, "changes": 100, "rest_seconds": 60,
            "latency_few": times(20.0, 40.0), "bare_few": times(16.0, 32.0), "latency_many": times(22.0, 50.0),
            "bare_many": times(16.0, 33.0), "drift": times(10.0, 30.0), "takeovers": 10, "takeover_farewell": times(100.0, 200.0), "takeover_crash": times(9000.0, 10000.0), "writes_at_rest": 2, "cpu_percent": 0.125,
            "memory_base_kib": 20480, "memory_warm_kib": 20980,
            "memory_full_kib": 45480, "objects": 3000,
            "stores": 24, "few_stores": 4, "store_objects": 60, "memory_few_stores_kib": 20080, "memory_stores_kib": 22080,
        });
        let text = render("2 cores", &serde_json::from_value(figures).unwrap());
        for expected in [
            "| change → child written, 500 services | 22.0 | 50.0 |",
            "| … after a crash | 9000.0 | 10000.0 |",
            "| p99 of the operator ÷ of the bare client | 1.25 |",
            "| p99 at 500 services ÷ at 10 | 1.25 |",
            "| … in an hour of the same | 120 |",
            "| … a service more, with its children, KiB | 50.0 |",
            "| a whole store more (60 objects), from 4 stores to 24, KiB | 100.0 |",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }
}
