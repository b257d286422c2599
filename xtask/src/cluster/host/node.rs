//! One node: its place in the network, its cgroup, containerd, kubelet, kube-proxy.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    cgroup::Hierarchy,
    config,
    control_plane::{command, path, write},
    layout::{Layout, Node, POD_NETWORK},
    network, pki,
    process::Daemon,
    settings,
};
use crate::{tools::Toolbox, ui::Step};

pub(super) const CONTAINERD: &str = "containerd";
pub(super) const KUBELET: &str = "kubelet";
const KUBE_PROXY: &str = "kube-proxy";

/// Makes the node's network, cgroup, certificate and configuration files, where they are missing or differ.
pub(super) fn configure(
    step: &Step,
    layout: &Layout,
    node: &Node,
    cgroups: &Hierarchy,
    pause_image: &str,
) -> Result<()> {
    for dir in ["cni", "kubelet", "pod-logs", "volume-plugins"] {
        let dir = node.dir().join(dir);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    if !node.containerd_state().exists() {
        // After a reboot no pod has an address, whatever the address files say.
        let _ = fs::remove_dir_all(node.dir().join("ipam"));
    }
    network::ensure(step, node)?;
    settings::ensure_inside(step, node)?;
    cgroups.ensure(node)?;
    pki::ensure_node(layout, node)?;
    write(&kubelet_kubeconfig(node), &config::kubeconfig(layout, &node.name()))?;
    write(&proxy_kubeconfig(node), &config::kubeconfig(layout, "proxy"))?;
    write(&node.dir().join("cni/10-pods.conflist"), &config::cni(node))?;
    write(&containerd_config(node), &config::containerd(node, pause_image))?;
    write(&kubelet_config(node), &config::kubelet(layout, node))?;
    // Pods have no name server but the cluster's.
    write(&node.dir().join("resolv.conf"), "")
}

pub(super) fn containerd(node: &Node) -> Daemon {
    let command = [CONTAINERD, "--config", &path(&containerd_config(node))].map(str::to_owned).to_vec();
    daemon(node, CONTAINERD, command, vec![containerd_config(node)])
}

/// What needs an API server and containerd.
pub(super) fn agents(layout: &Layout, node: &Node, tools: &Toolbox) -> Result<[Daemon; 2]> {
    let kubelet = command(
        tools.path(KUBELET)?,
        &[
            ("kubeconfig", &path(&kubelet_kubeconfig(node))),
            ("config", &path(&kubelet_config(node))),
            ("hostname-override", &node.name()),
            ("root-dir", &path(&node.dir().join("kubelet"))),
            ("node-ip", &node.address()),
        ],
    );
    let proxy = command(
        tools.path(KUBE_PROXY)?,
        &[
            ("kubeconfig", &path(&proxy_kubeconfig(node))),
            ("hostname-override", &node.name()),
            ("cluster-cidr", POD_NETWORK),
            ("proxy-mode", "iptables"),
            ("conntrack-max-per-core", "0"),
            ("bind-address", &node.address()),
            ("healthz-bind-address", &format!("{}:10256", node.address())),
            // Node ports answer on this machine only.
            ("nodeport-addresses", &format!("127.0.0.0/8,{POD_NETWORK}")),
        ],
    );
    Ok([
        daemon(node, KUBELET, kubelet, vec![kubelet_config(node), layout.certificate(&node.name())]),
        daemon(node, KUBE_PROXY, proxy, vec![layout.certificate("proxy")]),
    ])
}

fn daemon(node: &Node, program: &str, command: Vec<String>, config: Vec<PathBuf>) -> Daemon {
    Daemon { name: node.process(program), netns: node.netns(), command, config }
}

fn containerd_config(node: &Node) -> PathBuf {
    node.dir().join("containerd.toml")
}

fn kubelet_config(node: &Node) -> PathBuf {
    node.dir().join("kubelet.json")
}

fn kubelet_kubeconfig(node: &Node) -> PathBuf {
    node.dir().join("kubelet.kubeconfig")
}

fn proxy_kubeconfig(node: &Node) -> PathBuf {
    node.dir().join("proxy.kubeconfig")
}
