//! Names and places of the cluster on this machine. There is one cluster a machine: its ports, its bridge and its addresses are the machine's.

use std::path::{Path, PathBuf};

/// What survives a reboot: certificates, etcd, images, volumes. The paths are short because Unix sockets below them may be 107 bytes long.
const STATE: &str = "/var/lib/greencommerce";
/// What a reboot clears: sockets, pid files, container root file systems.
const RUN: &str = "/run/greencommerce";

/// The name of the network in the plugins' configuration.
pub(super) const NETWORK: &str = "greencommerce";
/// The bridge that carries nodes and pods.
pub(super) const BRIDGE: &str = "gc0";
/// One flat layer-2 network of all nodes and pods; node `i` has 10.244.i.1 and its pods 10.244.i.10–250.
pub(super) const POD_NETWORK: &str = "10.244.0.0/16";
pub(super) const SERVICE_NETWORK: &str = "10.96.0.0/16";
pub(super) const DNS_ADDRESS: &str = "10.96.0.10";
pub(super) const API_SERVER_PORT: u16 = 6443;
pub(super) const API_SERVER: &str = "https://10.244.0.1:6443";
/// The cgroup under which each node has one.
pub(super) const CGROUP: &str = "greencommerce";
/// More would need a second octet in the pod addresses; long before that the machine is full.
pub(crate) const MAX_NODES: u32 = 9;

/// Where one cluster keeps its things.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(super) state: PathBuf,
    pub(super) run: PathBuf,
}

impl Layout {
    pub(crate) fn of_this_machine() -> Self {
        Self { state: PathBuf::from(STATE), run: PathBuf::from(RUN) }
    }

    pub(super) fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    pub(super) fn etcd(&self) -> PathBuf {
        self.state.join("etcd")
    }

    pub(super) fn pids(&self) -> PathBuf {
        self.run.join("pids")
    }

    /// Where the storage provisioner makes volumes.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.state.join("volumes")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.state.join("admin.kubeconfig")
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.logs().join("audit.log")
    }

    /// The values that system settings had before the cluster changed them.
    pub(super) fn settings_before(&self) -> PathBuf {
        self.state.join("settings-before.json")
    }

    pub(super) fn certificate(&self, name: &str) -> PathBuf {
        self.pki().join(format!("{name}.crt"))
    }

    pub(super) fn key(&self, name: &str) -> PathBuf {
        self.pki().join(format!("{name}.key"))
    }
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) index: u32,
    state: PathBuf,
    run: PathBuf,
}

impl Node {
    pub(super) fn new(layout: &Layout, index: u32) -> Self {
        Self { index, state: layout.state.join(format!("node-{index}")), run: layout.run.clone() }
    }

    pub(super) fn name(&self) -> String {
        format!("node-{}", self.index)
    }

    pub(super) fn address(&self) -> String {
        format!("10.244.{}.1", self.index)
    }

    /// The network namespace of every node but the first, which lives in the machine's own, so that node ports answer on 127.0.0.1.
    pub(super) fn netns(&self) -> Option<String> {
        (self.index > 0).then(|| format!("{CGROUP}-{}", self.index))
    }

    /// The machine's end of the cable to the node's namespace.
    pub(super) fn cable(&self) -> String {
        format!("gcv{}", self.index)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.state
    }

    pub(super) fn containerd_state(&self) -> PathBuf {
        self.run.join(format!("containerd-{}", self.index))
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.run.join(format!("containerd-{}.sock", self.index))
    }

    pub(super) fn cgroup(&self) -> String {
        format!("/{CGROUP}/node-{}", self.index)
    }

    pub(super) fn process(&self, program: &str) -> String {
        format!("{program}-{}", self.index)
    }
}
