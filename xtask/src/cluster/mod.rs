//! The local cluster: two providers behind one trait. Everything above it (images, add-ons, chart, store) is shared.

pub(crate) mod addons;
mod host;
mod kind;
pub(crate) mod kubectl;
pub(crate) mod preflight;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use devenv::paths::cache_dir;

pub(crate) use self::host::MAX_NODES;
use self::{host::Host, kind::Kind};
use crate::{
    images::Image,
    tools::{self, Tool, Toolbox},
    ui::{self, Step, Ui},
    workspace,
};

/// Options of `cargo xtask down`.
#[derive(Args)]
pub(crate) struct DownOptions {
    /// Which cluster to stop. Default: the one that is there.
    #[arg(long, value_enum)]
    provider: Option<ProviderName>,
    /// Only check that nothing of a cluster is left on the machine; stop nothing.
    #[arg(long)]
    verify: bool,
}

/// How a cluster is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProviderName {
    /// The real control plane, kubelets and containerd as plain processes of this machine.
    Host,
    /// Containers of a Docker engine, by kind.
    Kind,
}

/// What differs between the two ways to a cluster.
pub(crate) trait Provider {
    fn name(&self) -> &'static str;

    /// Debian packages it needs.
    fn packages(&self) -> &'static [&'static str];

    /// Programs it needs, kubectl and helm among them.
    fn tools(&self) -> Vec<&'static Tool>;

    /// TCP ports of this machine that must be free, or be the cluster's own.
    fn ports(&self) -> &'static [u16];

    /// Processes of this machine that hold ports rightfully.
    fn processes(&self) -> Vec<i32>;

    /// Whether it works only for root.
    fn needs_root(&self) -> bool;

    /// The number of nodes when none is asked for: those that exist, else one.
    fn default_nodes(&self) -> u32;

    fn kubeconfig(&self) -> PathBuf;

    /// The API server's list of requests, where it can be read.
    fn audit_log(&self) -> Option<PathBuf>;

    /// Add-ons of `cluster/addons` that its clusters lack.
    fn addons(&self) -> &'static [&'static str];

    /// Where the storage provisioner keeps volumes on a node.
    fn volumes(&self) -> PathBuf;

    fn has_image(&self, step: &Step, image: &Image) -> Result<bool>;

    /// Builds an image under both its names from a folder with a `Containerfile`.
    fn build_image(&self, step: &Step, context: &Path, image: &Image) -> Result<()>;

    /// Makes the cluster run with that many Ready nodes. Changes nothing where it does.
    fn start(&self, step: &Step, tools: &Toolbox, nodes: u32, pause_image: &str) -> Result<()>;

    /// Gives every node the images it lacks.
    fn load(&self, step: &Step, tools: &Toolbox, images: &[Image]) -> Result<()>;

    /// Removes the cluster with everything in it.
    fn stop(&self, step: &Step) -> Result<()>;

    /// What of a cluster is on the machine; empty after [`Self::stop`].
    fn leftovers(&self, step: &Step) -> Result<Vec<String>>;
}

/// The provider asked for, else the one whose cluster is on this machine, else `kind` where a Docker engine answers, else `host`.
pub(crate) fn choose(name: Option<ProviderName>) -> Box<dyn Provider> {
    let host = Host::new();
    let name = name.unwrap_or_else(|| {
        if !host.exists() && kind::docker_answers() { ProviderName::Kind } else { ProviderName::Host }
    });
    match name {
        ProviderName::Host => Box::new(host),
        ProviderName::Kind => Box::new(Kind),
    }
}

/// What `up` leaves for people and tests: `env`, the logs of its steps, links to the tools.
pub(crate) fn dir() -> PathBuf {
    workspace::root().join("target/cluster")
}

/// Links to kubectl, its plugin and the other tools.
pub(crate) fn bin() -> PathBuf {
    dir().join("bin")
}

/// Holds off other calls of `up`, `down` and `images` while it lives: they share a machine and a cache.
pub(crate) fn exclusive() -> Result<fs::File> {
    let path = cache_dir().join("cluster.lock");
    fs::create_dir_all(cache_dir()).with_context(|| format!("cannot create {}", cache_dir().display()))?;
    let lock = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if lock.try_lock().is_err() {
        ui::line("another `cargo xtask` works on the cluster or its images: waiting for it to end");
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(lock)
}

/// Installs packages and builds tools, where they are missing.
pub(crate) fn prepare(ui: &Ui, provider: &dyn Provider) -> Result<Toolbox> {
    ui.step("Packages", |step| {
        let installed = devenv::debian::ensure_packages(provider.packages())?;
        step.note(if installed.is_empty() {
            "unchanged".to_owned()
        } else {
            format!("installed {}", installed.join(", "))
        });
        Ok(())
    })?;
    ui.step("Tools", |step| {
        let tools = tools::ensure(step, &provider.tools())?;
        tools.link_into(&bin())?;
        Ok(tools)
    })
}

/// `cargo xtask down`
pub(crate) fn down(options: &DownOptions) -> Result<()> {
    let provider = choose(options.provider);
    let ui = Ui::new(&dir().join("logs"))?;
    if provider.needs_root() && !nix::unistd::geteuid().is_root() {
        bail!("`down` of the {} provider must run as root: try `sudo -E cargo xtask down`", provider.name());
    }
    let _lock = exclusive()?;
    if !options.verify {
        ui.step("Down", |step| provider.stop(step))?;
        let env = dir().join("env");
        if env.exists() {
            fs::remove_file(&env).with_context(|| format!("cannot remove {}", env.display()))?;
        }
    }
    verify(&ui, provider.as_ref())
}

/// Fails with a list when anything of a cluster is on the machine.
pub(crate) fn verify(ui: &Ui, provider: &dyn Provider) -> Result<()> {
    let left = ui.step("Leftovers", |step| {
        let left = provider.leftovers(step)?;
        step.note(if left.is_empty() { "none".to_owned() } else { format!("{} found", left.len()) });
        Ok(left)
    })?;
    if left.is_empty() {
        return Ok(());
    }
    let mut list = String::new();
    for item in &left {
        let _ = write!(list, "\n  {item}");
    }
    ui::line(&format!("left on this machine:{list}"));
    bail!(
        "{} things of a cluster are on this machine: run `cargo xtask down --provider {}`",
        left.len(),
        provider.name()
    )
}
