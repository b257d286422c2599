//! The same cluster in containers of a Docker engine, by kind. Images are built by the engine from the same recipes.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::Provider;
use crate::{
    images::Image,
    tools::{self, Tool, Toolbox},
    ui::Step,
    workspace,
};

const CLUSTER: &str = "greencommerce";

/// See the module.
pub(super) struct Kind;

/// Whether a Docker engine can be used by this user.
pub(super) fn docker_answers() -> bool {
    Command::new("docker")
        .args(["info", "--format", "{{.ID}}"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Kind {
    fn exists(step: &Step, kind: &Path) -> Result<bool> {
        Ok(step.command(kind).args(["get", "clusters"]).output()?.lines().any(|name| name == CLUSTER))
    }

    fn nodes(step: &Step) -> Result<Vec<String>> {
        let filter = format!("label=io.x-k8s.kind.cluster={CLUSTER}");
        let names =
            step.command("docker").args(["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]).output()?;
        Ok(names.lines().map(str::to_owned).collect())
    }
}

impl Provider for Kind {
    fn name(&self) -> &'static str {
        "kind"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["build-essential", "mmdebstrap"]
    }

    fn tools(&self) -> Vec<&'static Tool> {
        vec![
            &tools::KUBECTL,
            &tools::KIND,
            &tools::HELM,
            &tools::COREDNS,
            &tools::METRICS_SERVER,
            &tools::LOCAL_PATH_PROVISIONER,
            &tools::KUBECONFORM,
        ]
    }

    fn ports(&self) -> &'static [u16] {
        // Docker's proxy holds 30080 once the cluster runs; the engine itself refuses a port that someone else holds.
        &[]
    }

    fn processes(&self) -> Vec<i32> {
        Vec::new()
    }

    fn needs_root(&self) -> bool {
        false
    }

    fn default_nodes(&self) -> u32 {
        1
    }

    fn kubeconfig(&self) -> PathBuf {
        super::dir().join("kind.kubeconfig")
    }

    fn audit_log(&self) -> Option<PathBuf> {
        Some(super::dir().join("audit/audit.log"))
    }

    fn addons(&self) -> &'static [&'static str] {
        // kind brings DNS; its storage class has no expansion, so ours replaces it as the default.
        &["metrics-server", "storage"]
    }

    fn volumes(&self) -> PathBuf {
        PathBuf::from("/var/lib/greencommerce/volumes")
    }

    fn has_image(&self, step: &Step, image: &Image) -> Result<bool> {
        let inspect = ["image", "inspect", "--format", "{{.Id}}", &image.content_reference()];
        Ok(step.command("docker").args(inspect).attempt()?.success)
    }

    fn build_image(&self, step: &Step, context: &Path, image: &Image) -> Result<()> {
        step.command("docker")
            .args(["build", "--file"])
            .arg(context.join("Containerfile"))
            .args(["--tag", &image.reference(), "--tag", &image.content_reference()])
            .arg(context)
            .run()
    }

    fn start(&self, step: &Step, tools: &Toolbox, nodes: u32, _pause_image: &str) -> Result<()> {
        let kind = tools.path("kind")?;
        if Self::exists(step, kind)? {
            // Docker starts the nodes again after a reboot, but not after `docker stop`.
            step.command("docker").arg("start").args(Self::nodes(step)?).run()?;
            step.note("unchanged");
        } else {
            let template = workspace::root().join("kind-config.yaml");
            let text =
                std::fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
            step.say("kind create cluster");
            step.command(kind)
                .args(["create", "cluster", "--name", CLUSTER, "--wait", "120s", "--config", "-"])
                .arg("--kubeconfig")
                .arg(self.kubeconfig())
                .directory(&workspace::root())
                .input(with_workers(&text, nodes))
                .hint("kind needs its node image: check that the engine can pull images")
                .run()?;
        }
        step.command(kind)
            .args(["export", "kubeconfig", "--name", CLUSTER, "--kubeconfig"])
            .arg(self.kubeconfig())
            .run()
    }

    fn load(&self, step: &Step, tools: &Toolbox, images: &[Image]) -> Result<()> {
        let kind = tools.path("kind")?;
        for node in Self::nodes(step)? {
            let listed =
                step.command("docker").args(["exec", &node, "ctr", "-n", "k8s.io", "images", "list", "-q"]).output()?;
            let present: HashSet<&str> = listed.lines().collect();
            let missing = images.iter().filter(|image| {
                let name = image.content_reference();
                !present.iter().any(|present| present.ends_with(&name))
            });
            for image in missing {
                step.say(&format!("{node}: {}", image.reference()));
                step.command(kind)
                    .args(["load", "docker-image", "--name", CLUSTER, "--nodes", &node])
                    .args([image.reference(), image.content_reference()])
                    .run()?;
            }
        }
        Ok(())
    }

    fn stop(&self, step: &Step) -> Result<()> {
        let nodes = Self::nodes(step)?;
        if !nodes.is_empty() {
            step.command("docker").args(["rm", "--force", "--volumes"]).args(nodes).run()?;
        }
        Ok(())
    }

    fn leftovers(&self, step: &Step) -> Result<Vec<String>> {
        Ok(Self::nodes(step)?.into_iter().map(|node| format!("container {node}")).collect())
    }
}

/// The committed configuration has one node; each further one is a worker.
fn with_workers(config: &str, nodes: u32) -> String {
    let mut text = config.trim_end().to_owned();
    for _ in 1..nodes {
        text.push_str("\n  - role: worker");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_but_the_first_is_a_worker() {
        let text = with_workers("nodes:\n  - role: control-plane\n", 3);
        assert_eq!(text, "nodes:\n  - role: control-plane\n  - role: worker\n  - role: worker\n");
    }

    #[test]
    fn the_committed_configuration_ends_with_its_nodes() {
        let config = std::fs::read_to_string(workspace::root().join("kind-config.yaml")).unwrap();
        let parsed: serde_json::Value = serde_yaml::from_str(&with_workers(&config, 2)).unwrap();
        assert_eq!(parsed["nodes"].as_array().unwrap().len(), 2);
        assert_eq!(parsed["nodes"][1]["role"], "worker");
    }
}
