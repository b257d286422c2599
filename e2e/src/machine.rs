//! The machine under the cluster: what an administrator of its nodes can do, by either provider.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::process::Command;

/// Where the `host` provider writes down its processes, a JSON file each, and where its containerds listen.
const RUN: &str = "/run/greencommerce";

/// How the cluster's nodes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Plain processes of this machine.
    Host,
    /// Containers named after the nodes.
    Kind,
}

impl Machine {
    /// What this cluster runs on.
    #[must_use]
    pub fn of_the_cluster() -> Self {
        if PathBuf::from(RUN).join("pids").is_dir() { Self::Host } else { Self::Kind }
    }

    /// `kill -9` of a node's own process: `kubelet` or `containerd`.
    pub async fn kill_of_node(self, process: &str, node: &str) -> Result<()> {
        match self {
            Self::Host => {
                let index = node.rsplit('-').next().unwrap_or_default();
                kill_hard(recorded(&format!("{process}-{index}"))?)
            }
            Self::Kind => run("docker", &["exec", node, "pkill", "-9", "-x", process]).await.map(drop),
        }
    }

    /// `kill -9` of the API server. `node` is one that runs the control plane.
    pub async fn kill_api_server(self, node: &str) -> Result<()> {
        match self {
            Self::Host => kill_hard(recorded("kube-apiserver")?),
            Self::Kind => run("docker", &["exec", node, "pkill", "-9", "-x", "kube-apiserver"]).await.map(drop),
        }
    }

    /// `kill -9` of the first process of a container: `id` is the status' `containerID`.
    pub async fn kill_container(self, node: &str, id: &str) -> Result<()> {
        let id = id.trim_start_matches("containerd://");
        self.ctr(node, &["tasks", "kill", "--signal", "SIGKILL", id]).await.map(drop)
    }

    /// Gives the image `from` the further name `to` on a node.
    pub async fn tag_image(self, node: &str, from: &str, to: &str) -> Result<()> {
        self.ctr(node, &["images", "tag", "--force", &canonical(from), &canonical(to)]).await.map(drop)
    }

    /// Takes a name of an image away on a node.
    pub async fn untag_image(self, node: &str, name: &str) -> Result<()> {
        self.ctr(node, &["images", "rm", &canonical(name)]).await.map(drop)
    }

    async fn ctr(self, node: &str, arguments: &[&str]) -> Result<String> {
        match self {
            Self::Host => {
                let index = node.rsplit('-').next().unwrap_or_default();
                let socket = format!("{RUN}/containerd-{index}.sock");
                run("ctr", &[&["--address", &socket, "--namespace", "k8s.io"], arguments].concat()).await
            }
            Self::Kind => run("docker", &[&["exec", node, "ctr", "--namespace", "k8s.io"], arguments].concat()).await,
        }
    }
}

/// The id of a process that the `host` provider runs.
fn recorded(name: &str) -> Result<i32> {
    let file = PathBuf::from(RUN).join("pids").join(format!("{name}.json"));
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    process_id(&text).with_context(|| format!("{} names no process", file.display()))
}

fn process_id(record: &str) -> Option<i32> {
    let record: Value = serde_json::from_str(record).ok()?;
    record["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 1)
}

fn kill_hard(process: i32) -> Result<()> {
    kill(Pid::from_raw(process), Signal::SIGKILL).with_context(|| format!("cannot kill process {process}"))
}

/// The name under which containerd keeps an image: with its registry.
fn canonical(image: &str) -> String {
    let first = image.split_once('/').map(|(first, _)| first);
    match first {
        None => format!("docker.io/library/{image}"),
        Some(first) if first.contains(['.', ':']) || first == "localhost" => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
    }
}

async fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let line = format!("{program} {}", arguments.join(" "));
    let output =
        Command::new(program).args(arguments).output().await.with_context(|| format!("cannot start {line}"))?;
    if !output.status.success() {
        bail!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_process_of_ours_kills_nothing() {
        assert_eq!(process_id(r#"{"name": "kubelet-0", "pid": 4242}"#), Some(4242));
        for record in ["", "{}", r#"{"pid": 0}"#, r#"{"pid": -1}"#, r#"{"pid": 1}"#, r#"{"pid": 99999999999}"#] {
            assert_eq!(process_id(record), None, "{record}");
        }
    }

    #[test]
    fn images_are_known_by_their_full_names() {
        assert_eq!(canonical("redis:7.0"), "docker.io/library/redis:7.0");
        assert_eq!(canonical("greencommerce/services:1"), "docker.io/greencommerce/services:1");
        assert_eq!(canonical("registry.example/a:1"), "registry.example/a:1");
    }
}
