//! kubectl, for what users do with it: apply, exec, drain, rollout.

use std::{ffi::OsStr, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::Settings;

/// The kubectl of the cluster, as its administrator.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

/// What a command printed, and whether it succeeded.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Whether it ended with 0.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Kubectl {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { program: settings.bin.join("kubectl"), kubeconfig: settings.kubeconfig.clone() }
    }

    /// Runs it and gives what it printed; a failure tells what it complained about.
    pub async fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let command = self.command(arguments);
        let line = line(&command);
        let outcome = attempt(command, "").await?;
        if !outcome.success {
            bail!("{line}: {}", outcome.stderr.trim());
        }
        Ok(outcome.stdout)
    }

    /// Runs it with `input` and gives what came of it, success or not.
    pub async fn attempt<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Result<Outcome> {
        attempt(self.command(arguments), input).await
    }

    /// The command, to be started by the caller; it dies with its handle.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments).kill_on_drop(true);
        command
    }
}

async fn attempt(mut command: Command, input: &str) -> Result<Outcome> {
    let line = line(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {line}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input may have ended before it was written.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.with_context(|| line.clone())?;
    Ok(Outcome {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn line(command: &Command) -> String {
    let arguments = command.as_std().get_args().skip(2).map(|argument| argument.to_string_lossy());
    std::iter::once("kubectl".into()).chain(arguments).collect::<Vec<_>>().join(" ")
}
