//! kubectl: the built one, never another on PATH.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{command::Cmd, ui::Step};

/// The field manager of everything that `xtask` applies.
pub(crate) const FIELD_MANAGER: &str = "xtask";

/// kubectl for one cluster.
#[derive(Clone)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(program: &Path, kubeconfig: &Path) -> Self {
        Self { program: program.to_path_buf(), kubeconfig: kubeconfig.to_path_buf() }
    }

    pub(crate) fn command<'a>(&self, step: &'a Step) -> Cmd<'a> {
        self.with(step.command(&self.program))
    }

    /// Another client of the same cluster, such as helm.
    pub(crate) fn with<'a>(&self, command: Cmd<'a>) -> Cmd<'a> {
        command.env("KUBECONFIG", &self.kubeconfig)
    }

    /// Whether applying the manifests as this field manager would change nothing.
    pub(crate) fn is_applied(&self, step: &Step, manifests: &str, manager: &str) -> Result<bool> {
        Ok(self.command(step).arg("diff").args(server_side(manager)).input(manifests).attempt()?.success)
    }

    /// The object or list that a query prints as JSON; `None` when it prints nothing.
    pub(crate) fn json<A: AsRef<OsStr>>(
        &self,
        step: &Step,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Option<Value>> {
        let text = self.command(step).args(arguments).output()?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text).map(Some).context("kubectl printed something else than JSON")
    }

    /// Applies manifests on the server's side, and only when that would change something. Returns whether it did.
    pub(crate) fn apply(&self, step: &Step, manifests: &str, namespace: Option<&str>) -> Result<bool> {
        let flags = server_side(FIELD_MANAGER).into_iter().chain(namespace.map(|name| format!("--namespace={name}")));
        let flags: Vec<String> = flags.collect();
        if self.command(step).arg("diff").args(&flags).input(manifests).attempt()?.success {
            return Ok(false);
        }
        self.command(step).arg("apply").args(&flags).input(manifests).run()?;
        Ok(true)
    }
}

fn server_side(manager: &str) -> [String; 4] {
    ["--server-side", "--force-conflicts", &format!("--field-manager={manager}"), "--filename=-"].map(str::to_owned)
}
