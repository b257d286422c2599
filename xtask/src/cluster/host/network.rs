//! The bridge, the nodes' network namespaces and their cables. Every call makes what is missing and leaves what is there.

use std::{fs, path::Path};

use anyhow::Result;

use super::layout::{BRIDGE, CGROUP, Node};
use crate::ui::Step;

/// Node 0 is in the machine's own namespace; node i > 0 has a namespace with a bridge of its own, joined by a cable to the machine's bridge.
/// All of it is one flat layer-2 network: no overlay, no routes between nodes.
pub(super) fn ensure(step: &Step, node: &Node) -> Result<()> {
    match node.netns() {
        None => ensure_bridge(step, node),
        Some(netns) => ensure_namespace(step, node, &netns),
    }
}

/// Removes the node's namespace and cable.
pub(super) fn remove(step: &Step, node: &Node) -> Result<()> {
    let Some(netns) = node.netns() else { return Ok(()) };
    if link_exists(&node.cable()) {
        step.command("ip").args(["link", "delete", &node.cable()]).run()?;
    }
    if namespace(&netns).exists() {
        step.command("ip").args(["netns", "delete", &netns]).run()?;
    }
    Ok(())
}

/// Removes the bridge and whatever of the cluster's namespaces and cables is there, known or not.
pub(super) fn remove_all(step: &Step) -> Result<()> {
    for link in links().iter().filter(|link| is_ours(link)) {
        if link_exists(link) {
            step.command("ip").args(["link", "delete", link]).run()?;
        }
    }
    for netns in namespaces() {
        step.command("ip").args(["netns", "delete", &netns]).run()?;
    }
    Ok(())
}

/// The cluster's links and namespaces that exist.
pub(super) fn leftovers() -> Vec<String> {
    let links = links().into_iter().filter(|link| is_ours(link)).map(|link| format!("network link {link}"));
    links.chain(namespaces().into_iter().map(|netns| format!("network namespace {netns}"))).collect()
}

fn ensure_bridge(step: &Step, node: &Node) -> Result<()> {
    if !link_exists(BRIDGE) {
        step.command("ip").args(["link", "add", BRIDGE, "type", "bridge"]).run()?;
    }
    address(step, node, &[])
}

fn ensure_namespace(step: &Step, node: &Node, netns: &str) -> Result<()> {
    if !namespace(netns).exists() {
        step.command("ip").args(["netns", "add", netns]).run()?;
    }
    let cable = node.cable();
    if !link_exists(&cable) {
        step.command("ip")
            .args(["link", "add", &cable, "type", "veth", "peer", "name", "up0", "netns", netns])
            .run()?;
    }
    step.command("ip").args(["link", "set", &cable, "master", BRIDGE, "up"]).run()?;
    let inside = inside(netns);
    let has_bridge = step.command("nsenter").args(&inside).args(["ip", "link", "show", BRIDGE]).attempt()?.success;
    if !has_bridge {
        step.command("nsenter").args(&inside).args(["ip", "link", "add", BRIDGE, "type", "bridge"]).run()?;
    }
    step.command("nsenter").args(&inside).args(["ip", "link", "set", "lo", "up"]).run()?;
    step.command("nsenter").args(&inside).args(["ip", "link", "set", "up0", "master", BRIDGE, "up"]).run()?;
    address(step, node, &inside)?;
    step.command("nsenter").args(&inside).args(["ip", "route", "replace", "default", "via", "10.244.0.1"]).run()
}

/// `replace` changes nothing where the address is there already.
fn address(step: &Step, node: &Node, inside: &[String]) -> Result<()> {
    let ip = |arguments: &[&str]| -> Result<()> {
        if inside.is_empty() {
            return step.command("ip").args(arguments).run();
        }
        step.command("nsenter").args(inside).arg("ip").args(arguments).run()
    };
    ip(&["address", "replace", &format!("{}/16", node.address()), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

fn inside(netns: &str) -> [String; 2] {
    [format!("--net={}", namespace(netns).display()), "--".to_owned()]
}

fn namespace(netns: &str) -> std::path::PathBuf {
    Path::new("/run/netns").join(netns)
}

fn link_exists(link: &str) -> bool {
    Path::new("/sys/class/net").join(link).exists()
}

fn is_ours(link: &str) -> bool {
    link == BRIDGE
        || link.strip_prefix("gcv").is_some_and(|index| !index.is_empty() && index.chars().all(|c| c.is_ascii_digit()))
}

fn links() -> Vec<String> {
    names("/sys/class/net")
}

fn namespaces() -> Vec<String> {
    let prefix = format!("{CGROUP}-");
    names("/run/netns").into_iter().filter(|name| name.starts_with(&prefix)).collect()
}

fn names(dir: &str) -> Vec<String> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clusters_own_links_are_removed() {
        assert!(is_ours("gc0") && is_ours("gcv1"));
        for link in ["eth0", "gcv", "gcvx", "docker0", "gc01"] {
            assert!(!is_ours(link), "{link}");
        }
    }
}
