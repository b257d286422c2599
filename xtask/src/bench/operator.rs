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
    /// Stores there are when latency is taken for the second time, and at rest; each takes some 30 MB of disk
    #[arg(long, default_value_t = 500)]
    stores: u32,

    /// Changes that are timed, with few stores and with many
    #[arg(long, default_value_t = 300)]
    changes: u32,

    /// Times that a Deployment is changed by hand, that a version is taken back, and that a database server refuses a login
    #[arg(long, default_value_t = 20)]
    repairs: u32,

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
    stores: u32,
    few: u32,
    /// Objects of one store.
    objects: u32,
    changes: u32,
    latency_few: Percentiles,
    bare_few: Percentiles,
    latency_many: Percentiles,
    bare_many: Percentiles,
    latency_beside_broken: Percentiles,
    repairs: u32,
    drift: Percentiles,
    rollback: Percentiles,
    refusal_told: Percentiles,
    refusal_healed: Percentiles,
    takeovers: u32,
    takeover_farewell: Percentiles,
    takeover_crash: Percentiles,
    rest_seconds: u32,
    writes_at_rest: u32,
    cpu_percent: f64,
    memory_base_kib: f64,
    memory_few_kib: f64,
    memory_full_kib: f64,
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
        .args(["--stores", &options.stores.to_string()])
        .args(["--changes", &options.changes.to_string()])
        .args(["--repairs", &options.repairs.to_string()])
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
    let mut text = format!("Machine: {machine}.\n\n{}\n\n", method(figures));
    text.push_str(&times(figures));
    text.push('\n');
    text.push_str(&ratios(figures));
    text.push_str(
        "\nWrites are those of the operator in the API server's audit log, leases apart. Processor time is `utime` and \
         `stime` of `/proc/<pid>/stat`, memory is `VmRSS` of `/proc/<pid>/status`.\n",
    );
    text
}

/// How the figures came about.
fn method(Figures { objects, changes, repairs, takeovers, .. }: &Figures) -> String {
    format!(
        "The operator as a process of its own, which leads by a lease, against etcd (in memory, without fsync) and one API server on the same machine, \
         which take most of the time measured here. No nodes: a puppet in the measuring process writes the statuses of \
         Deployments and Jobs, and the bench makes the pods of each store, as a kubelet would report them. Each store has every service, in a namespace of its own, with PostgreSQL, Kafka and the cache \
         outside of the cluster: one PostgreSQL server, on which each has databases of its own, and one broker, whose topics \
         they share. That makes {objects} objects a store, pods included.\n\n\
         A change is another variable for a service in the spec of a Store, {changes} times one after the other, over all \
         stores in turn; the time runs from before the change is sent until a watch tells of the Deployment with that \
         variable. The bare client makes the same three writes (Store, StoreService, Deployment) after each of them, in a group \
         of resources that no operator looks after, on objects with the same statuses, and knows beforehand what to write. Drift \
         is a Deployment's image changed by hand, {repairs} times, until a watch tells that it is back. A broken store is one \
         whose database server and broker are nowhere. A rollback starts when a watch tells that the first Deployment of a \
         version missed its deadline, {repairs} times, and has started when one tells that it has its former image. A login is \
         refused {repairs} times: the administrator's Secret gets a name that the database server does not know, and the time \
         runs until the databases' condition tells of it; then the server is given that name, of which nothing tells the \
         operator, and the time runs until the databases are ready. A leader ends {takeovers} times by SIGTERM and {takeovers} times by SIGKILL beside one that stands by, while a \
         client changes a service every 50 ms; the time runs from the signal until the other one has written."
    )
}

fn times(figures: &Figures) -> String {
    let Figures { stores, few, .. } = figures;
    let rows = [
        (format!("change → child written, {few} stores"), figures.latency_few, ""),
        (format!("bare client, {few} stores"), figures.bare_few, ""),
        (format!("change → child written, {stores} stores"), figures.latency_many, ""),
        (format!("bare client, {stores} stores"), figures.bare_many, ""),
        (format!("change → child written, one of {stores} stores broken"), figures.latency_beside_broken, ""),
        (format!("drift undone, {few} stores"), figures.drift, "≤ 1000"),
        (format!("deadline missed → the way back begun, {few} stores"), figures.rollback, ""),
        (format!("login refused by a database server → told, {few} stores"), figures.refusal_told, "≤ 2000"),
        ("… and accepted again → ready".to_owned(), figures.refusal_healed, "≤ 2000"),
        ("the next leader's first write after a farewell".to_owned(), figures.takeover_farewell, "≤ 5000"),
        ("… after a crash".to_owned(), figures.takeover_crash, "≤ 15000"),
    ];
    let mut text = "| | p50, ms | p99, ms | goal |\n|---|---:|---:|---:|\n".to_owned();
    for (name, times, goal) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name} | {:.1} | {:.1} | {goal} |", times.p50, times.p99);
    }
    text
}

fn ratios(figures: &Figures) -> String {
    let Figures { stores, few, rest_seconds, .. } = figures;
    let (of_few, of_many) = (figures.latency_few, figures.latency_many);
    let (bare_few, bare_many) = (figures.bare_few, figures.bare_many);
    let store_hours = f64::from(*stores) * f64::from(*rest_seconds) / 3600.0;
    let writes = f64::from(figures.writes_at_rest);
    let store = (figures.memory_full_kib - figures.memory_few_kib) / f64::from(stores - few);
    let mib = |kib: f64| format!("{:.1}", kib / 1024.0);
    let ratio = |one: f64, other: f64| format!("{:.2}", one / other);
    let rows = [
        (format!("p50 of the operator ÷ of the bare client, {few} stores"), ratio(of_few.p50, bare_few.p50), "≤ 1.5"),
        (format!("p99 of the operator ÷ of the bare client, {few} stores"), ratio(of_few.p99, bare_few.p99), "≤ 1.5"),
        (
            format!("p50 of the operator ÷ of the bare client, {stores} stores"),
            ratio(of_many.p50, bare_many.p50),
            "≤ 1.5",
        ),
        (
            format!("p99 of the operator ÷ of the bare client, {stores} stores"),
            ratio(of_many.p99, bare_many.p99),
            "≤ 1.5",
        ),
        (format!("p99 at {stores} stores ÷ at {few}"), ratio(of_many.p99, of_few.p99), "≤ 1.5"),
        (
            format!("p99 with one of {stores} stores broken ÷ with none"),
            ratio(figures.latency_beside_broken.p99, of_many.p99),
            "",
        ),
        (format!("writes in {rest_seconds} s at rest, {stores} stores"), writes.to_string(), "0"),
        ("… in an hour of one store".to_owned(), format!("{:.2}", writes / store_hours), "0"),
        (
            format!("processor time at rest, {stores} stores, per cent of a core"),
            format!("{:.2}", figures.cpu_percent),
            "≤ 0.2",
        ),
        ("resident memory without objects, MiB".to_owned(), mib(figures.memory_base_kib), "≤ 23.8 (25 MB)"),
        (format!("resident memory with {few} stores, after the changes of them, MiB"), mib(figures.memory_few_kib), ""),
        (format!("resident memory with {stores} stores, MiB"), mib(figures.memory_full_kib), ""),
        ("… a store more, KiB".to_owned(), format!("{store:.1}"), "≤ 58.6 (60 kB)"),
    ];
    let mut text = "| | | goal |\n|---|---:|---:|\n".to_owned();
    for (name, figure, goal) in rows {
        let _ = writeln!(text, "| {name} | {figure} | {goal} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_bench_become_ratios() {
        let times = |p50: f64, p99: f64| serde_json::json!({"p50": p50, "p99": p99});
        let figures = serde_json::json!({
            "stores": 500, "few": 10, "objects": 40, "changes": 100,
            "latency_few": times(20.0, 40.0), "bare_few": times(16.0, 32.0),
            "latency_many": times(24.0, 50.0), "bare_many": times(16.0, 25.0),
            "latency_beside_broken": times(24.0, 55.0),
            "repairs": 20, "drift": times(10.0, 30.0), "rollback": times(30.0, 60.0),
            "refusal_told": times(50.0, 70.0), "refusal_healed": times(800.0, 1500.0),
            "takeovers": 10, "takeover_farewell": times(100.0, 200.0), "takeover_crash": times(9000.0, 10000.0),
            "rest_seconds": 600, "writes_at_rest": 250, "cpu_percent": 0.125,
            "memory_base_kib": 15360, "memory_few_kib": 20480, "memory_full_kib": 45080,
        });
        let text = render("2 cores", &serde_json::from_value(figures).unwrap());
        for expected in [
            "That makes 40 objects a store, pods included.",
            "| change → child written, 500 stores | 24.0 | 50.0 |  |",
            "| deadline missed → the way back begun, 10 stores | 30.0 | 60.0 |  |",
            "| login refused by a database server → told, 10 stores | 50.0 | 70.0 | ≤ 2000 |",
            "| … and accepted again → ready | 800.0 | 1500.0 | ≤ 2000 |",
            "| … after a crash | 9000.0 | 10000.0 | ≤ 15000 |",
            "| p99 of the operator ÷ of the bare client, 10 stores | 1.25 | ≤ 1.5 |",
            "| p50 of the operator ÷ of the bare client, 500 stores | 1.50 | ≤ 1.5 |",
            "| p99 at 500 stores ÷ at 10 | 1.25 | ≤ 1.5 |",
            "| p99 with one of 500 stores broken ÷ with none | 1.10 |  |",
            "| … in an hour of one store | 3.00 | 0 |",
            "| processor time at rest, 500 stores, per cent of a core | 0.12 | ≤ 0.2 |",
            "| … a store more, KiB | 50.2 | ≤ 58.6 (60 kB) |",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }
}
