//! Releases of the chart, beside the one that `cargo xtask up` installs.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{Cluster, Space, workspace};

/// The release that `cargo xtask up` installs.
const FIRST: &str = "greencommerce";

/// A release of this checkout's chart. It is uninstalled when this is dropped.
#[derive(Debug)]
pub struct Release {
    space: Space,
    name: String,
}

impl Space {
    /// Installs the chart in this namespace with these flags (`--set=replicas=1`), and waits until its Pods are ready. The
    /// custom resource definitions stay those of the release that is there.
    pub async fn install(&self, name: &str, flags: &[String]) -> Result<Release> {
        let release = Release { space: self.clone(), name: name.to_owned() };
        let mut helm = self.helm(&["install", "--wait", "--timeout=3m", "--set=crds.install=false"]);
        run(helm.arg(name).arg(chart()).args(flags)).await?;
        Ok(release)
    }

    fn helm(&self, arguments: &[&str]) -> Command {
        let settings = self.cluster().settings();
        let mut command = Command::new(settings.bin.join("helm"));
        command.arg("--kubeconfig").arg(&settings.kubeconfig).args(["--namespace", self.name()]);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

impl Cluster {
    /// Upgrades the release that `cargo xtask up` installed to another image of the operator, and waits until its Pods are
    /// ready.
    pub async fn upgrade_operator(&self, tag: &str) -> Result<()> {
        let mut helm = self.operator().helm(&["upgrade", FIRST, "--reset-then-reuse-values", "--wait", "--timeout=3m"]);
        run(helm.arg(chart()).arg(format!("--set-string=image.tag={tag}"))).await
    }

    /// Takes the last upgrade of that release back.
    pub async fn take_operator_back(&self) -> Result<()> {
        run(&mut self.operator().helm(&["rollback", FIRST, "--wait", "--timeout=3m"])).await
    }
}

fn chart() -> PathBuf {
    workspace().join("charts/greencommerce")
}

impl Release {
    /// Removes it.
    pub async fn uninstall(self) -> Result<()> {
        run(self.space.helm(&["uninstall", "--wait", "--timeout=2m"]).arg(&self.name)).await
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let mut command = self.space.helm(&["uninstall", "--ignore-not-found"]);
        let outcome = command.arg(&self.name).as_std_mut().stdout(Stdio::null()).stderr(Stdio::null()).status();
        // Nobody is left to tell; the names of what may be left say whose it is.
        let _ = outcome.context("cannot start helm");
    }
}

async fn run(command: &mut Command) -> Result<()> {
    let output = command.output().await.context("cannot start helm")?;
    ensure!(output.status.success(), "helm: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
