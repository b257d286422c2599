//! `cargo xtask up`: from whatever this machine has to a Ready store, step by step. A second call changes nothing.

mod admin;
pub(crate) mod api;
mod catalogue;
mod chart;
pub(crate) mod environment;
mod store;

use anyhow::{Result, ensure};
use clap::Args;

use self::{api::Api, environment::Environment, store::Store};
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
    /// How the cluster is made. Default: as the one that is there, else `kind` where a Docker engine answers, else `host`.
    #[arg(long, value_enum)]
    provider: Option<ProviderName>,
    /// Stop at a bare cluster with DNS, metrics, storage and the images of PostgreSQL, Kafka and the cache: no chart, no
    /// store.
    #[arg(long)]
    bare: bool,
}

/// Runs every step; prints addresses and a timing table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let provider = cluster::choose(options.provider);
    let nodes = options.nodes.unwrap_or_else(|| provider.default_nodes());
    ensure!((1..=MAX_NODES).contains(&nodes), "--nodes must be between 1 and {MAX_NODES}");
    let ui = Ui::new(&cluster::dir().join("logs"))?;
    let _lock = cluster::exclusive()?;
    ui.step("Preflight", |step| preflight::run(step, provider.as_ref(), preflight::Purpose::Run))?;
    let tools = cluster::prepare(&ui, provider.as_ref())?;
    let selection = if options.bare { Selection::Foreign } else { Selection::All };
    let images = ui.step("Images", |step| images::ensure(step, provider.as_ref(), &tools, selection))?;
    let kubectl = bare_cluster(&ui, provider.as_ref(), &tools, &images, nodes)?;
    if options.bare {
        ui::line(&format!("\nA bare cluster runs. KUBECONFIG={}\n", provider.kubeconfig().display()));
    } else {
        let environment = shop(&ui, provider.as_ref(), &tools, &kubectl, &images)?;
        ui::line(&welcome(&environment));
    }
    ui::line(&ui.timings());
    Ok(())
}

fn bare_cluster(ui: &Ui, provider: &dyn Provider, tools: &Toolbox, images: &[Image], nodes: u32) -> Result<Kubectl> {
    ui.step("Cluster", |step| {
        let pause = images::find(images, "greencommerce/pause")?;
        provider.start(step, tools, nodes, &pause.content_reference())
    })?;
    ui.step("Load images", |step| provider.load(step, tools, images))?;
    let kubectl = Kubectl::new(tools.path("kubectl")?, &provider.kubeconfig());
    ui.step("Add-ons", |step| addons::ensure(step, provider, &kubectl, images))?;
    Ok(kubectl)
}

/// Operator, store, first admin, sample catalogue.
fn shop(ui: &Ui, provider: &dyn Provider, tools: &Toolbox, kubectl: &Kubectl, images: &[Image]) -> Result<Environment> {
    let operator = images::find(images, "greencommerce/operator")?;
    ui.step("Operator", |step| chart::ensure(step, tools.path("helm")?, kubectl, operator))?;
    let store = Store::read(images::find(images, "greencommerce/services")?)?;
    ui.step("Store", |step| store.apply(step, kubectl))?;
    let uid = ui.step("Store ready", |step| store.await_ready(step, kubectl))?;
    let environment = Environment::new(provider, store.url()?)?;
    let api = Api::new(environment.store_url());
    let fresh = environment.store_uid() != Some(uid.as_str());
    ui.step("First admin", |step| {
        step.note("unchanged");
        if fresh { admin::ensure(step, kubectl, &api, &store, &environment) } else { Ok(()) }
    })?;
    ui.step("Sample catalogue", |step| catalogue::ensure(step, kubectl, &api, &store, &environment))?;
    environment.finish(&uid)
}

fn welcome(environment: &Environment) -> String {
    let url = environment.store_url();
    format!(
        "
GreenCommerce is ready.

  shop        curl {url}/api/products
  admin       {email}, password in {file}
  kubectl     . {file} && $CLUSTER_BIN/kubectl get stores --all-namespaces
  take away   cargo xtask down
",
        email = environment.admin_email(),
        file = environment.file().display(),
    )
}
