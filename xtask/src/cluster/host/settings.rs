//! Kernel settings that the cluster changes: noted before, put back after.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};

use super::layout::{Layout, Node};
use crate::ui::Step;

/// Set by us.
const FORWARDING: &str = "net/ipv4/ip_forward";
const BRIDGE_FILTER: &str = "net/bridge/bridge-nf-call-iptables";
/// Set by the kubelet and kube-proxy.
const SET_BY_OTHERS: [&str; 6] = [
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
];

/// Notes the values before the first change, then lets the machine forward between pods and filter bridged traffic (Services need both).
pub(super) fn ensure(step: &Step, layout: &Layout) -> Result<()> {
    if !Path::new("/proc/sys").join(BRIDGE_FILTER).exists() {
        // Built into some kernels, a module in Debian's.
        step.command("modprobe")
            .arg("br_netfilter")
            .hint("the kernel needs the br_netfilter module: Services do not work without it")
            .run()?;
    }
    let noted = layout.settings_before();
    if !noted.exists() {
        let before: BTreeMap<&str, String> = SET_BY_OTHERS
            .into_iter()
            .chain([FORWARDING, BRIDGE_FILTER])
            .filter_map(|name| Some((name, read(name)?)))
            .collect();
        fs::write(&noted, serde_json::to_string_pretty(&before)?)
            .with_context(|| format!("cannot write {}", noted.display()))?;
    }
    for name in [FORWARDING, BRIDGE_FILTER] {
        write(name, "1")?;
    }
    Ok(())
}

/// The same inside a node's own network namespace.
pub(super) fn ensure_inside(step: &Step, node: &Node) -> Result<()> {
    let Some(netns) = node.netns() else { return Ok(()) };
    let script = format!("echo 1 >/proc/sys/{FORWARDING}; echo 1 >/proc/sys/{BRIDGE_FILTER}");
    step.command("nsenter").args([&format!("--net=/run/netns/{netns}"), "--", "sh", "-ec", &script]).run()
}

/// Puts back what was noted.
pub(super) fn restore(layout: &Layout) -> Result<()> {
    let Ok(text) = fs::read_to_string(layout.settings_before()) else { return Ok(()) };
    let before: BTreeMap<String, String> = serde_json::from_str(&text).unwrap_or_default();
    for (name, value) in before {
        if read(&name).is_some_and(|now| now != value) {
            write(&name, &value)?;
        }
    }
    Ok(())
}

fn read(name: &str) -> Option<String> {
    Some(fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().to_owned())
}

fn write(name: &str, value: &str) -> Result<()> {
    if read(name).as_deref() == Some(value) {
        return Ok(());
    }
    let path = Path::new("/proc/sys").join(name);
    fs::write(&path, value).with_context(|| format!("cannot write {value} to {}", path.display()))
}
