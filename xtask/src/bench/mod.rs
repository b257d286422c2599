//! `cargo xtask bench`: figures of this machine, measured and written into docs/benchmarks.md.

mod first_order;
mod images;
mod machine;
mod memory;
mod operator;
mod page;

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use crate::{
    cluster::kubectl::Kubectl,
    ui::{self, Ui},
    up::environment,
    workspace,
};

/// What `bench` measures.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Debug, Subcommand)]
enum Figure {
    /// Memory of the pods at rest, sizes of the images, time from `kubectl apply` to Ready and to the first order. Needs
    /// the cluster of `cargo xtask up`.
    Footprint,
    /// The operator on a control plane without nodes: from a change to its children, at rest, with few and with many
    /// objects. Needs no cluster.
    Operator(operator::Options),
}

/// Measures, and writes docs/benchmarks.md.
pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.figure {
        Figure::Footprint => footprint(),
        Figure::Operator(options) => operator::run(options),
    }
}

fn footprint() -> Result<()> {
    let ui = Ui::new(&workspace::root().join("target/bench"))?;
    let machine = machine::describe()?;
    let environment = environment::read()?;
    let value = |name: &str| environment.get(name).with_context(|| format!("target/cluster/env has no {name}"));
    let kubectl = Kubectl::new(&Path::new(value("CLUSTER_BIN")?).join("kubectl"), Path::new(value("KUBECONFIG")?));
    let images = ui.step("Image sizes", |step| images::sizes(step, &kubectl))?;
    let memory = ui.step("Memory at rest", |step| memory::at_rest(step, &kubectl))?;
    let timing = ui.step("First order", |step| first_order::measure(step, &kubectl))?;
    let figures = page::Figures { machine, images, memory, timing };
    let text = page::render(&figures);
    page::write(&workspace::root().join("docs/benchmarks.md"), page::FOOTPRINT, &text)?;
    ui::line(&text);
    ui::line(&ui.timings());
    Ok(())
}
