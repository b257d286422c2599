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
        step.command(&self.program).env("KUBECONFIG", &self.kubeconfig)
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
        let place = namespace.map(|namespace| format!("--namespace={namespace}"));
        let flags = ["--server-side", "--force-conflicts", &format!("--field-manager={FIELD_MANAGER}"), "--filename=-"];
        let same = self.command(step).arg("diff").args(flags).args(&place).input(manifests).attempt()?.success;
        if same {
            return Ok(false);
        }
        self.command(step).arg("apply").args(flags).args(&place).input(manifests).run()?;
        Ok(true)
    }
}
