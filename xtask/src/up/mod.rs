//! `cargo xtask up`: from whatever this machine has to a Ready store, step by step. A second call changes nothing.

use anyhow::{Result, ensure};
use clap::Args;

use crate::{
    cluster::{self, MAX_NODES, Provider, ProviderName, addons, kubectl::Kubectl, preflight},
    images::{self, Image, Selection},
    tools::Toolbox,
    ui::{self, Ui},
};

/// Options of `cargo xtask up`.
#[derive(Args)]
pub(crate) struct Options {
    /// How many nodes. Default: those that exist, else one.
    #[arg(long)]
    nodes: Option<u32>,
    /// How the cluster is made. Default: `kind` where a Docker engine answers, else `host`.
    #[arg(long, value_enum)]
    provider: Option<ProviderName>,
    /// Stop at a bare cluster with DNS, metrics and storage: no chart, no store.
    #[arg(long)]
    bare: bool,
}

/// Runs every step; prints addresses and a timing table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let provider = cluster::choose(options.provider);
    let nodes = options.nodes.unwrap_or_else(|| provider.default_nodes());
    ensure!((1..=MAX_NODES).contains(&nodes), "--nodes must be between 1 and {MAX_NODES}");
    let ui = Ui::new(&cluster::dir().join("logs"))?;
    ui.step("Preflight", |step| preflight::run(step, provider.as_ref(), preflight::Purpose::Run))?;
    let tools = cluster::prepare(&ui, provider.as_ref())?;
    let selection = if options.bare { Selection::Cluster } else { Selection::All };
    let images = ui.step("Images", |step| images::ensure(step, provider.as_ref(), &tools, selection))?;
    let kubectl = bare_cluster(&ui, provider.as_ref(), &tools, &images, nodes)?;
    let _ = kubectl;
    ui::line(&ui.timings());
    Ok(())
}

fn bare_cluster(ui: &Ui, provider: &dyn Provider, tools: &Toolbox, images: &[Image], nodes: u32) -> Result<Kubectl> {
    ui.step("Cluster", |step| {
        let pause =
            images.iter().find(|image| image.repository() == "greencommerce/pause").map(Image::content_reference);
        provider.start(step, tools, nodes, &pause.unwrap_or_default())
    })?;
    ui.step("Load images", |step| provider.load(step, tools, images))?;
    let kubectl = Kubectl::new(tools.path("kubectl")?, &provider.kubeconfig());
    ui.step("Add-ons", |step| addons::ensure(step, provider, &kubectl, images))?;
    Ok(kubectl)
}
