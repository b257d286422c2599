//! A Kubernetes cluster of plain processes on this machine: no Docker, no systemd. It needs root, and about 20 seconds.

mod cgroup;
mod config;
mod control_plane;
mod firewall;
mod images;
mod layout;
mod network;
mod node;
mod pki;
mod process;
mod settings;
mod teardown;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

pub(crate) use self::layout::{Layout, MAX_NODES};
use self::{
    cgroup::Hierarchy,
    layout::Node,
    process::{Daemon, Started, Supervisor},
};
use super::{Provider, kubectl::Kubectl};
use crate::{
    images::Image,
    tools::{self, Tool, Toolbox},
    ui::Step,
};

const READY_DEADLINE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(200);

/// Debian packages that `cluster/` and the image builds need, and two that the tour of the README uses.
const PACKAGES: [&str; 12] = [
    "buildah",
    // A C compiler and make: for the pause container, and for the libraries that cargo builds from source.
    "build-essential",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "curl",
    "iproute2",
    "iptables",
    "jq",
    "kmod",
    "mmdebstrap",
    "runc",
];

/// etcd, the API server, controller manager and scheduler, kubelet and kube-proxy of the first node, and the store's node port.
const PORTS: [u16; 10] = [2379, 2380, 6443, 10248, 10249, 10250, 10256, 10257, 10259, 30080];

/// See the module.
pub(crate) struct Host {
    layout: Layout,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { layout: Layout::of_this_machine() }
    }

    /// Whether a cluster of this kind is on the machine, running or not.
    pub(crate) fn exists(&self) -> bool {
        self.layout.state.exists() || self.layout.run.exists()
    }

    fn existing_nodes(&self) -> u32 {
        (0..MAX_NODES)
            .filter(|index| Node::new(&self.layout, *index).dir().exists())
            .map(|index| index + 1)
            .max()
            .unwrap_or(0)
    }

    fn supervisor(&self) -> Result<Supervisor> {
        Supervisor::new(&self.layout.pids(), &self.layout.logs())
    }

    fn configure(&self, step: &Step, nodes: &[Node], pause_image: &str) -> Result<()> {
        fs::create_dir_all(&self.layout.state)
            .with_context(|| format!("cannot create {}", self.layout.state.display()))?;
        let cgroups = Hierarchy::of_this_machine()?;
        settings::ensure(step, &self.layout)?;
        control_plane::configure(&self.layout)?;
        for node in nodes {
            node::configure(step, &self.layout, node, &cgroups, pause_image)?;
        }
        Ok(())
    }

    /// Nodes beyond the wanted number leave the cluster.
    fn remove_surplus(&self, step: &Step, kubectl: &Kubectl, wanted: u32) -> Result<()> {
        for index in (wanted..self.existing_nodes()).rev() {
            let node = Node::new(&self.layout, index);
            step.say(&format!("removing {}", node.name()));
            kubectl.command(step).args(["delete", "node", &node.name(), "--ignore-not-found"]).run()?;
            teardown::node(step, &self.supervisor()?, &node)?;
        }
        Ok(())
    }
}

impl Provider for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn packages(&self) -> &'static [&'static str] {
        &PACKAGES
    }

    fn tools(&self) -> Vec<&'static Tool> {
        vec![
            &tools::KUBERNETES,
            &tools::ETCD,
            &tools::HELM,
            &tools::COREDNS,
            &tools::METRICS_SERVER,
            &tools::LOCAL_PATH_PROVISIONER,
            &tools::KUBECONFORM,
        ]
    }

    fn ports(&self) -> &'static [u16] {
        &PORTS
    }

    fn processes(&self) -> Vec<i32> {
        let records = Supervisor::existing(&self.layout.pids(), &self.layout.logs()).records();
        records.iter().filter(|record| record.is_alive()).map(|record| record.pid).collect()
    }

    fn needs_root(&self) -> bool {
        true
    }

    fn default_nodes(&self) -> u32 {
        self.existing_nodes().max(1)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    fn audit_log(&self) -> Option<PathBuf> {
        Some(self.layout.audit_log())
    }

    fn addons(&self) -> &'static [&'static str] {
        &["dns", "metrics-server", "storage"]
    }

    fn volumes(&self) -> PathBuf {
        self.layout.volumes()
    }

    fn has_image(&self, _step: &Step, image: &Image) -> Result<bool> {
        Ok(images::archive(image).exists())
    }

    fn start(&self, step: &Step, tools: &Toolbox, nodes: u32, pause_image: &str) -> Result<()> {
        let kubectl = Kubectl::new(tools.path("kubectl")?, &self.kubeconfig());
        let all: Vec<Node> = (0..nodes).map(|index| Node::new(&self.layout, index)).collect();
        step.say("network, control groups, certificates");
        self.configure(step, &all, &images::canonical(pause_image))?;
        let supervisor = self.supervisor()?;
        let mut started = Vec::new();

        step.say("etcd, API server, containerd");
        control_plane::end_without_api_server(&supervisor)?;
        ensure(&supervisor, control_plane::foundation(&self.layout, tools)?, &mut started)?;
        ensure(&supervisor, all.iter().map(node::containerd), &mut started)?;
        await_api_server(step, &supervisor, &kubectl)?;
        let leases = leases(step, &kubectl)?;

        step.say("controllers, kubelets");
        ensure(&supervisor, control_plane::controllers(&self.layout, tools)?, &mut started)?;
        for node in &all {
            await_socket(&supervisor, node)?;
            ensure(&supervisor, node::agents(&self.layout, node, tools)?, &mut started)?;
        }
        self.remove_surplus(step, &kubectl, nodes)?;
        step.say("waiting for nodes");
        for node in &all {
            let before = leases.get(&node.name()).filter(|_| started.contains(&node.process(node::KUBELET)));
            await_ready(step, &supervisor, &kubectl, node, before)?;
        }
        step.note(if started.is_empty() { "unchanged".to_owned() } else { format!("started {}", started.join(", ")) });
        Ok(())
    }

    fn build_image(&self, step: &Step, context: &Path, image: &Image) -> Result<()> {
        images::build(step, context, image)
    }

    fn load(&self, step: &Step, _tools: &Toolbox, images: &[Image]) -> Result<()> {
        let nodes: Vec<Node> = (0..self.existing_nodes()).map(|index| Node::new(&self.layout, index)).collect();
        images::load(step, &nodes, images)
    }

    fn stop(&self, step: &Step) -> Result<()> {
        teardown::all(step, &self.layout, &self.supervisor()?)
    }

    fn leftovers(&self, step: &Step) -> Result<Vec<String>> {
        teardown::leftovers(step, &self.layout)
    }
}

fn ensure(supervisor: &Supervisor, daemons: impl IntoIterator<Item = Daemon>, started: &mut Vec<String>) -> Result<()> {
    for daemon in daemons {
        if supervisor.ensure(&daemon)? == Started::Now {
            started.push(daemon.name);
        }
    }
    Ok(())
}

fn await_api_server(step: &Step, supervisor: &Supervisor, kubectl: &Kubectl) -> Result<()> {
    await_condition("the API server to be ready", || {
        supervisor.require(control_plane::ETCD)?;
        supervisor.require(control_plane::API_SERVER)?;
        Ok(kubectl.command(step).args(["get", "--raw", "/readyz"]).attempt()?.success)
    })
}

fn await_socket(supervisor: &Supervisor, node: &Node) -> Result<()> {
    await_condition("containerd to listen", || {
        supervisor.require(&node.process(node::CONTAINERD))?;
        Ok(std::os::unix::net::UnixStream::connect(node.socket()).is_ok())
    })
}

/// A node that was Ready before a reboot still says so. After its kubelet was started, only a renewed lease counts.
fn await_ready(
    step: &Step,
    supervisor: &Supervisor,
    kubectl: &Kubectl,
    node: &Node,
    before: Option<&String>,
) -> Result<()> {
    let name = node.name();
    await_condition(&format!("{name} to be Ready"), || {
        supervisor.require(&node.process(node::KUBELET))?;
        if before.is_some() && leases(step, kubectl)?.get(&name) == before {
            return Ok(false);
        }
        let query = ["get", "node", &name, "--ignore-not-found", "-o", "json"];
        Ok(kubectl.json(step, query)?.is_some_and(|node| is_ready(&node)))
    })
}

/// Node name to the time of its last sign of life.
fn leases(step: &Step, kubectl: &Kubectl) -> Result<BTreeMap<String, String>> {
    let list = kubectl.json(step, ["get", "leases", "-n", "kube-node-lease", "-o", "json"])?.unwrap_or_default();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    Ok(items
        .iter()
        .filter_map(|lease| {
            let name = lease["metadata"]["name"].as_str()?;
            Some((name.to_owned(), lease["spec"]["renewTime"].as_str()?.to_owned()))
        })
        .collect())
}

fn is_ready(object: &Value) -> bool {
    object["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

fn await_condition(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + READY_DEADLINE;
    while !holds()? {
        if Instant::now() > deadline {
            bail!(
                "waited {} s for {what}\nlogs of the cluster's processes: {}",
                READY_DEADLINE.as_secs(),
                Layout::of_this_machine().logs().display()
            );
        }
        thread::sleep(POLL);
    }
    Ok(())
}
