//! Control groups: one root per node, on machines with cgroup v1, v2 or both.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::layout::{CGROUP, Node};

/// What the machine mounts under `/sys/fs/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// One mount per controller (or group of controllers).
    V1 {
        controllers: Vec<PathBuf>,
        /// A version 2 mount beside them (hybrid): it has no controllers, but runc makes groups in it all the same.
        unified: Option<PathBuf>,
    },
    /// One mount for all.
    V2(PathBuf),
}

const GONE_DEADLINE: Duration = Duration::from_secs(10);

/// How many times the processor time of an ordinary group all pods together get while everybody wants some. Kubernetes' own
/// processes are in no group here; each counts as one of its own, where on a machine of their own all of them count as one
/// and the pods as one for each processor. Left at that, a dozen of them starve the pods whenever pods are started.
const WEIGHT: u32 = 8;

/// Where the weight of a group is written, and the weight of an ordinary group.
const WEIGHT_FILES: [(&str, u32); 2] = [("cpu.shares", 1024), ("cpu.weight", 100)];

/// The controllers a kubelet wants enabled for its pods on version 2.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

impl Hierarchy {
    pub(super) fn of_this_machine() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
        match Self::parse(&mounts) {
            Some(hierarchy) => Ok(hierarchy),
            None => bail!("no control groups are mounted under /sys/fs/cgroup: a kubelet cannot run here"),
        }
    }

    fn parse(mountinfo: &str) -> Option<Self> {
        let mut controllers = Vec::new();
        let mut unified = None;
        for line in mountinfo.lines() {
            let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
            let (Some(point), Some(kind)) = (mount.split(' ').nth(4), filesystem.split(' ').next()) else { continue };
            let point = PathBuf::from(point);
            match kind {
                "cgroup" => controllers.push(point),
                "cgroup2" => unified = Some(point),
                _ => {}
            }
        }
        if controllers.is_empty() { unified.map(Self::V2) } else { Some(Self::V1 { controllers, unified }) }
    }

    fn roots(&self) -> &[PathBuf] {
        match self {
            Self::V1 { controllers, .. } => controllers,
            Self::V2(root) => std::slice::from_ref(root),
        }
    }

    /// Where groups of the cluster may be, whoever made them.
    fn all(&self) -> Vec<PathBuf> {
        let unified = match self {
            Self::V1 { unified, .. } => unified.as_ref(),
            Self::V2(_) => None,
        };
        self.roots().iter().chain(unified).cloned().collect()
    }

    /// Makes the node's cgroup in every hierarchy, and gives all of them together their part of the processors.
    pub(super) fn ensure(&self, node: &Node) -> Result<()> {
        let below = node.cgroup();
        for root in self.roots() {
            let mut dir = root.clone();
            for part in below.split('/').filter(|part| !part.is_empty()) {
                if let Self::V2(_) = self {
                    delegate(&dir)?;
                }
                let parent = dir.clone();
                dir.push(part);
                fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
                inherit_cpuset(&parent, &dir)?;
            }
            if let Self::V2(_) = self {
                delegate(&dir)?;
            }
        }
        self.weigh()
    }

    /// Gives the cluster's pods their part of the processors.
    fn weigh(&self) -> Result<()> {
        for root in self.roots() {
            for (file, ordinary) in WEIGHT_FILES {
                let file = root.join(CGROUP).join(file);
                if file.exists() {
                    fs::write(&file, (WEIGHT * ordinary).to_string())
                        .with_context(|| format!("cannot write {}", file.display()))?;
                }
            }
        }
        Ok(())
    }

    /// Kills every process in the cluster's groups and removes the groups.
    pub(super) fn remove(&self) -> Result<()> {
        remove(&self.groups())
    }

    /// The same for one node.
    pub(super) fn remove_node(&self, node: &Node) -> Result<()> {
        remove(&self.below(node.cgroup().trim_start_matches('/')))
    }

    /// The cluster's groups that exist, parents first.
    pub(super) fn groups(&self) -> Vec<PathBuf> {
        self.below(CGROUP)
    }

    fn below(&self, group: &str) -> Vec<PathBuf> {
        let mut groups = Vec::new();
        for root in self.all() {
            walk(&root.join(group), &mut groups);
        }
        groups
    }
}

fn remove(groups: &[PathBuf]) -> Result<()> {
    thaw(groups);
    let deadline = Instant::now() + GONE_DEADLINE;
    loop {
        let processes: Vec<i32> = groups.iter().flat_map(|group| processes(group)).collect();
        if processes.is_empty() {
            break;
        }
        for process in &processes {
            let _ = kill(Pid::from_raw(*process), Signal::SIGKILL);
        }
        if Instant::now() > deadline {
            bail!("process {} in the cluster's control groups does not end", processes[0]);
        }
        thread::sleep(Duration::from_millis(50));
    }
    for group in groups.iter().rev() {
        if let Err(error) = fs::remove_dir(group)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("cannot remove the control group {}", group.display()));
        }
    }
    Ok(())
}

/// On version 2 a child has a controller only when its parent passes it on.
fn delegate(dir: &Path) -> Result<()> {
    let available = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    let control = dir.join("cgroup.subtree_control");
    for controller in
        available.split_whitespace().filter(|name| CONTROLLERS.contains(name) || name.starts_with("hugetlb"))
    {
        fs::write(&control, format!("+{controller}"))
            .with_context(|| format!("cannot enable the {controller} controller in {}", control.display()))?;
    }
    Ok(())
}

/// On version 1 nothing can join a cpuset whose two files are empty.
fn inherit_cpuset(parent: &Path, dir: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (from, to) = (parent.join(file), dir.join(file));
        let is_empty = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.trim().is_empty());
        if from.exists() && is_empty(&to) && !is_empty(&from) {
            let value = fs::read_to_string(&from)?;
            fs::write(&to, value.trim()).with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    Ok(())
}

/// A frozen process does not die.
fn thaw(groups: &[PathBuf]) {
    for group in groups {
        let _ = fs::write(group.join("cgroup.freeze"), "0");
        let _ = fs::write(group.join("freezer.state"), "THAWED");
    }
}

fn processes(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|process| *process > 1).collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    if !dir.is_dir() {
        return;
    }
    found.push(dir.to_path_buf());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TMPFS: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n";
    const CPU: &str = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n";
    const MEMORY: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
    const UNIFIED: &str = "42 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn version_1_has_a_root_per_mount() {
        let parsed = Hierarchy::parse(&[TMPFS, CPU, MEMORY].concat()).unwrap();
        assert_eq!(parsed.roots(), ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory"].map(PathBuf::from));
        assert!(matches!(parsed, Hierarchy::V1 { unified: None, .. }));
    }

    #[test]
    fn a_hybrid_machine_is_treated_as_version_1_and_its_second_mount_is_cleaned() {
        let parsed = Hierarchy::parse(&[TMPFS, CPU, UNIFIED].concat()).unwrap();
        assert_eq!(parsed.roots(), ["/sys/fs/cgroup/cpu,cpuacct"].map(PathBuf::from));
        assert_eq!(parsed.all(), ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/unified"].map(PathBuf::from));
    }

    #[test]
    fn version_2_has_one_root() {
        let line =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(Hierarchy::parse(line), Some(Hierarchy::V2(PathBuf::from("/sys/fs/cgroup"))));
    }

    #[test]
    fn a_machine_without_control_groups_is_refused() {
        assert_eq!(Hierarchy::parse("22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"), None);
    }
}
