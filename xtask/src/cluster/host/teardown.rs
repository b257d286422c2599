//! Taking the cluster away, whole or one node of it, from whatever state it is in.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    mount::{MntFlags, umount2},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    cgroup::Hierarchy,
    firewall,
    layout::{Layout, NETWORK, Node},
    network, node as agents,
    process::{Record, Supervisor, command_line},
    settings,
};
use crate::ui::Step;

const GONE_DEADLINE: Duration = Duration::from_secs(10);

/// Kubelets first (they would start pods again), then containers, then the rest, then what the network plugins and the kernel keep.
pub(super) fn all(step: &Step, layout: &Layout, supervisor: &Supervisor) -> Result<()> {
    step.say("processes");
    stop_where(supervisor, |record| record.name.starts_with(agents::KUBELET))?;
    stop_where(supervisor, |_| true)?;
    kill_strays(layout)?;
    step.say("control groups");
    Hierarchy::of_this_machine()?.remove()?;
    step.say("mounts, network, packet filter");
    unmount_below(&[&layout.run, &layout.state])?;
    network::remove_all(step)?;
    firewall::clean(step)?;
    settings::restore(layout)?;
    step.say("files");
    for dir in [&layout.run, &layout.state] {
        remove_dir(dir)?;
    }
    remove_kubelet_traces();
    Ok(())
}

/// One node leaves: its processes, pods, mounts, network and files.
pub(super) fn node(step: &Step, supervisor: &Supervisor, node: &Node) -> Result<()> {
    let suffix = format!("-{}", node.index);
    stop_where(supervisor, |record| record.name == node.process(agents::KUBELET))?;
    stop_where(supervisor, |record| record.name.ends_with(&suffix))?;
    kill_where(|line| is_shim_of(line, &node.socket().to_string_lossy()))?;
    Hierarchy::of_this_machine()?.remove_node(node)?;
    unmount_below(&[&node.containerd_state(), node.dir()])?;
    network::remove(step, node)?;
    remove_dir(&node.containerd_state())?;
    remove_dir(node.dir())
}

/// Everything of a cluster that is still on the machine; empty after a clean `down`.
pub(super) fn leftovers(step: &Step, layout: &Layout) -> Result<Vec<String>> {
    let places = [layout.run.clone(), layout.state.clone()];
    let mut found: Vec<String> =
        strays(layout).into_iter().map(|(pid, line)| format!("process {pid}: {}", line.join(" "))).collect();
    found.extend(mounts_below(&places).into_iter().map(|mount| format!("mount {}", mount.display())));
    found.extend(network::leftovers());
    found.extend(firewall::leftovers(step)?);
    let groups = Hierarchy::of_this_machine()?.groups();
    found.extend(groups.iter().map(|group| format!("control group {}", group.display())));
    found.extend(places.iter().filter(|place| place.exists()).map(|place| format!("folder {}", place.display())));
    Ok(found)
}

fn stop_where(supervisor: &Supervisor, which: impl Fn(&Record) -> bool) -> Result<()> {
    let records: Vec<Record> = supervisor.records().into_iter().filter(which).collect();
    supervisor.stop(&records)
}

/// Shims outlive their containerd, and a process may have lost its record.
fn kill_strays(layout: &Layout) -> Result<()> {
    kill_where(|line| is_stray(line, layout))
}

fn kill_where(which: impl Fn(&[String]) -> bool) -> Result<()> {
    let deadline = Instant::now() + GONE_DEADLINE;
    loop {
        let alive = processes(&which);
        if alive.is_empty() {
            return Ok(());
        }
        for (pid, _) in &alive {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if Instant::now() > deadline {
            anyhow::bail!("process {} does not end: {}", alive[0].0, alive[0].1.join(" "));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn strays(layout: &Layout) -> Vec<(i32, Vec<String>)> {
    processes(&|line: &[String]| is_stray(line, layout))
}

/// A process of the cluster: one of the programs we start, with an argument below the cluster's folders.
fn is_stray(line: &[String], layout: &Layout) -> bool {
    const PROGRAMS: [&str; 8] = [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "containerd",
        "containerd-shim-runc-v2",
    ];
    let program = line.first().map(|program| Path::new(program).file_name().unwrap_or_default());
    program.is_some_and(|program| PROGRAMS.iter().any(|known| program == *known))
        && line.iter().skip(1).any(|argument| {
            let value = argument.split_once('=').map_or(argument.as_str(), |(_, value)| value);
            Path::new(value).starts_with(&layout.run) || Path::new(value).starts_with(&layout.state)
        })
}

fn is_shim_of(line: &[String], socket: &str) -> bool {
    line.first().is_some_and(|program| program.ends_with("containerd-shim-runc-v2"))
        && line.iter().any(|argument| argument == socket)
}

fn processes(which: &impl Fn(&[String]) -> bool) -> Vec<(i32, Vec<String>)> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter_map(|pid: i32| Some((pid, command_line(pid)?)))
        .filter(|(_, line)| which(line))
        .collect()
}

fn unmount_below(places: &[&Path]) -> Result<()> {
    let places: Vec<PathBuf> = places.iter().map(|place| place.to_path_buf()).collect();
    for mount in mounts_below(&places).iter().rev() {
        umount2(mount, MntFlags::MNT_DETACH).with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    Ok(())
}

fn mounts_below(places: &[PathBuf]) -> Vec<PathBuf> {
    parse_mounts(&fs::read_to_string("/proc/self/mounts").unwrap_or_default(), places)
}

/// In the order they were made.
fn parse_mounts(mounts: &str, places: &[PathBuf]) -> Vec<PathBuf> {
    mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|point| PathBuf::from(point.replace("\\040", " ")))
        .filter(|point| places.iter().any(|place| point.starts_with(place)))
        .collect()
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// The kubelet and the network library write to a few fixed places. Only what points nowhere or is empty goes.
fn remove_kubelet_traces() {
    for entry in fs::read_dir("/var/log/containers").into_iter().flatten().flatten() {
        if fs::symlink_metadata(entry.path()).is_ok_and(|link| link.is_symlink()) && !entry.path().exists() {
            let _ = fs::remove_file(entry.path());
        }
    }
    remove_network_results(Path::new("/var/lib/cni/results"));
    let _ = fs::remove_file("/var/lib/kubelet/device-plugins/kubelet.sock");
    let _ = fs::remove_file("/var/lib/kubelet/device-plugins/DEPRECATION");
    for dir in [
        "/var/log/containers",
        "/var/lib/kubelet/device-plugins",
        "/var/lib/kubelet/plugins_registry",
        "/var/lib/kubelet/plugins",
        "/var/lib/kubelet",
        "/var/lib/cni/results",
        "/var/lib/cni/cache",
        "/var/lib/cni",
    ] {
        let _ = fs::remove_dir(dir);
    }
}

/// The network library keeps a file per interface: `<network>-<sandbox>-eth0` tells which sandboxes were ours, and each has a loopback.
fn remove_network_results(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(sandbox) = sandbox_of(&name) {
            let _ = fs::remove_file(entry.path());
            let _ = fs::remove_file(dir.join(format!("cni-loopback-{sandbox}-lo")));
        }
    }
}

fn sandbox_of(result: &str) -> Option<&str> {
    result.strip_prefix(NETWORK)?.strip_prefix('-')?.strip_suffix("-eth0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_the_clusters_own_processes_are_strays() {
        let layout = Layout::of_this_machine();
        for line in [
            "/cache/etcd --data-dir=/var/lib/greencommerce/etcd",
            "containerd --config /var/lib/greencommerce/node-0/containerd.toml",
            "/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -address /run/greencommerce/containerd-1.sock",
        ] {
            assert!(is_stray(&words(line), &layout), "{line}");
        }
        for line in [
            "containerd --config /etc/containerd/config.toml",
            "tail -f /var/lib/greencommerce/logs/etcd.log",
            "/cache/etcd --data-dir=/var/lib/greencommerce-other",
            "etcd",
        ] {
            assert!(!is_stray(&words(line), &layout), "{line}");
        }
    }

    #[test]
    fn results_of_other_networks_stay() {
        assert_eq!(sandbox_of("greencommerce-0a1b-eth0"), Some("0a1b"));
        for other in ["cni-loopback-0a1b-lo", "podman-0a1b-eth0", "greencommerce-other"] {
            assert_eq!(sandbox_of(other), None, "{other}");
        }
    }

    #[test]
    fn mounts_below_the_clusters_folders_are_found_and_no_others() {
        let mounts = "\
overlay /run/greencommerce/containerd-0/rootfs overlay rw 0 0
tmpfs /var/lib/greencommerce/node-0/kubelet/pods/a\\040b tmpfs rw 0 0
/dev/vda / ext4 rw 0 0
tmpfs /run/greencommerce-other tmpfs rw 0 0
";
        let places = [PathBuf::from("/run/greencommerce"), PathBuf::from("/var/lib/greencommerce")];
        assert_eq!(
            parse_mounts(mounts, &places),
            ["/run/greencommerce/containerd-0/rootfs", "/var/lib/greencommerce/node-0/kubelet/pods/a b"]
                .map(PathBuf::from)
        );
    }
}
