//! The last test of all: after `cargo xtask down` nothing of the cluster is on the machine. It removes the cluster, so it
//! runs only when asked for by name: `cargo test --package e2e --test zz_down`.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use e2e::{workspace, xtask};

/// Where the `host` provider keeps its things.
const PLACES: [&str; 2] = ["/run/greencommerce", "/var/lib/greencommerce"];

#[test]
fn down_leaves_nothing_behind() -> Result<()> {
    // Given a cluster that has been used
    // When it is taken down
    xtask(&["down"])?;

    // Then `down` itself finds nothing
    xtask(&["down", "--verify"])?;
    // and neither does somebody who looks for themselves.
    assert_eq!(found(), Vec::<String>::new());
    ensure!(!workspace().join("target/cluster/env").exists(), "target/cluster/env speaks of a cluster that is gone");

    // When it is taken down once more, then that is fine too.
    xtask(&["down"]).map(drop)
}

/// Files, mounts, processes, network devices and namespaces, cgroups and firewall chains of a cluster.
fn found() -> Vec<String> {
    let mut found: Vec<String> =
        PLACES.iter().filter(|place| Path::new(place).exists()).map(|place| format!("folder {place}")).collect();
    found.extend(lines("/proc/self/mounts").filter(|line| of_the_cluster(line)).map(|line| format!("mount {line}")));
    found.extend(processes().into_iter().filter(|line| of_the_cluster(line)).map(|line| format!("process {line}")));
    let device = |name: &String| name.starts_with("gc0") || name.starts_with("gcv");
    found.extend(entries("/sys/class/net").into_iter().filter(device).map(|name| format!("network device {name}")));
    let namespace = |name: &String| name.starts_with("cni-") || name.starts_with("greencommerce-");
    found.extend(entries("/run/netns").into_iter().filter(namespace).map(|name| format!("network namespace {name}")));
    for hierarchy in entries("/sys/fs/cgroup").into_iter().chain([String::new()]) {
        let group = Path::new("/sys/fs/cgroup").join(hierarchy).join("greencommerce");
        found.extend(group.exists().then(|| format!("cgroup {}", group.display())));
    }
    let chain = |line: &String| ["KUBE-", "CNI-"].iter().any(|chain| line.starts_with(&format!(":{chain}")));
    found.extend(firewall().into_iter().filter(chain).map(|line| format!("chain {line}")));
    found
}

fn of_the_cluster(line: &str) -> bool {
    PLACES.iter().any(|place| line.contains(&format!("{place}/")))
}

fn lines(file: &str) -> impl Iterator<Item = String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn entries(dir: &str) -> Vec<String> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Command lines of every process but this one.
fn processes() -> Vec<String> {
    let own = std::process::id().to_string();
    entries("/proc")
        .into_iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own)
        .filter_map(|id| fs::read(format!("/proc/{id}/cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

/// Every table of the firewall. A machine without the command has no chains of ours.
fn firewall() -> Vec<String> {
    let tables = ["iptables-save", "ip6tables-save"];
    let output = |program: &str| Command::new(program).output().context("no firewall command");
    tables
        .iter()
        .filter_map(|program| output(program).ok())
        .flat_map(|output| String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
