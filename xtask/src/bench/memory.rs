//! Resident memory of pods, read from the processes of their containers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    iter::Sum,
    ops::AddAssign,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{cluster::kubectl::Kubectl, ui::Step};

const SAMPLES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
const STORE_NAMESPACE: &str = "greencommerce";
const OPERATOR_NAMESPACE: &str = "greencommerce-system";
pub(super) const OPERATOR: &str = "operator";

/// Memory of a process or of the processes of a pod, in KiB. The derived order is that of the resident memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Memory {
    /// `VmRSS`: all pages that are in memory, also those shared with other processes.
    pub(super) resident: u64,
    /// `Pss`: a page that several processes map counts for each by its share.
    pub(super) proportional: u64,
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.resident += other.resident;
        self.proportional += other.proportional;
    }
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

/// The largest pod of each component over ten seconds.
pub(super) fn at_rest(step: &Step, kubectl: &Kubectl) -> Result<BTreeMap<String, Memory>> {
    let mut containers = BTreeMap::new();
    for namespace in [STORE_NAMESPACE, OPERATOR_NAMESPACE] {
        let pods = kubectl.json(step, ["get", "pods", "--namespace", namespace, "--output=json"])?;
        containers.extend(containers_of(&pods.context("kubectl lists no pods")?, namespace));
    }
    ensure!(!containers.is_empty(), "no pod of the store runs: `cargo xtask up` makes one");
    let mut largest = BTreeMap::new();
    for sample in 1..=SAMPLES {
        step.say(&format!("sample {sample} of {SAMPLES}"));
        for (component, memory) in largest_pods(&containers, &processes()?) {
            let known: &mut Memory = largest.entry(component).or_default();
            *known = memory.max(*known);
        }
        thread::sleep(PAUSE);
    }
    let seen: BTreeSet<&String> = largest.keys().collect();
    let missing: Vec<&String> =
        containers.values().map(|owner| &owner.component).filter(|name| !seen.contains(name)).collect();
    ensure!(missing.is_empty(), "the processes of these are not visible on this machine: {missing:?}");
    Ok(largest)
}

/// Whose container it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    pod: String,
    component: String,
}

/// Running containers by the runtime's id.
fn containers_of(pods: &Value, namespace: &str) -> BTreeMap<String, Owner> {
    let mut containers = BTreeMap::new();
    for pod in pods["items"].as_array().into_iter().flatten().filter(|pod| pod["status"]["phase"] == "Running") {
        let label = pod["metadata"]["labels"]["app.kubernetes.io/name"].as_str().unwrap_or_default();
        let component = if namespace == OPERATOR_NAMESPACE { OPERATOR } else { label };
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        for container in pod["status"]["containerStatuses"].as_array().into_iter().flatten() {
            let id = container["containerID"].as_str().and_then(|id| id.rsplit('/').next()).unwrap_or_default();
            let owner = Owner { pod: name.to_owned(), component: component.to_owned() };
            if !id.is_empty() {
                containers.insert(id.to_owned(), owner);
            }
        }
    }
    containers
}

/// The largest pod of each component.
fn largest_pods(containers: &BTreeMap<String, Owner>, processes: &[(String, Memory)]) -> BTreeMap<String, Memory> {
    let mut pods: BTreeMap<(&str, &str), Memory> = BTreeMap::new();
    for (cgroup, memory) in processes {
        let owner = containers.iter().find(|(id, _)| cgroup.contains(id.as_str())).map(|(_, owner)| owner);
        if let Some(Owner { pod, component }) = owner {
            *pods.entry((component, pod)).or_default() += *memory;
        }
    }
    let mut largest = BTreeMap::new();
    for ((component, _), memory) in pods {
        let known: &mut Memory = largest.entry(component.to_owned()).or_default();
        *known = memory.max(*known);
    }
    largest
}

/// The control groups and the memory of every process on the machine.
fn processes() -> Result<Vec<(String, Memory)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let dir = entry?.path();
        let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
        // A process may end while it is looked at.
        let (Some(cgroup), Some(status), Some(maps)) = (read("cgroup"), read("status"), read("smaps_rollup")) else {
            continue;
        };
        if let (Some(resident), Some(proportional)) = (field(&status, "VmRSS:"), field(&maps, "Pss:")) {
            found.push((cgroup, Memory { resident, proportional }));
        }
    }
    Ok(found)
}

/// A field of `/proc/<pid>/status` or `/proc/<pid>/smaps_rollup` (proc(5)), in KiB; a kernel thread has none.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn memory_is_read_from_what_the_kernel_says_of_a_process() {
        assert_eq!(field("Name:\tx\nVmRSS:\t    9876 kB\nRssAnon:\t 1 kB\n", "VmRSS:"), Some(9876));
        assert_eq!(field("Rss:  3 kB\nPss:                 120 kB\nPss_Anon: 7 kB\n", "Pss:"), Some(120));
        assert_eq!(field("Name:\tkthreadd\n", "VmRSS:"), None);
    }

    #[test]
    fn the_processes_of_a_pod_are_summed_and_the_largest_pod_counts() {
        let pods = json!({"items": [
            {"metadata": {"name": "cart-1", "labels": {"app.kubernetes.io/name": "cart"}},
             "status": {"phase": "Running", "containerStatuses": [{"containerID": "containerd://aaa"}]}},
            {"metadata": {"name": "cart-2", "labels": {"app.kubernetes.io/name": "cart"}},
             "status": {"phase": "Running", "containerStatuses": [{"containerID": "containerd://bbb"}]}},
            {"metadata": {"name": "cart-3", "labels": {"app.kubernetes.io/name": "cart"}},
             "status": {"phase": "Pending"}},
        ]});
        let containers = containers_of(&pods, STORE_NAMESPACE);
        assert_eq!(containers.len(), 2);
        let memory = [("0::/pod1/aaa", 10), ("0::/pod1/aaa", 5), ("0::/pod2/bbb", 12), ("0::/system", 99)];
        let of = |kib| Memory { resident: kib, proportional: kib / 2 };
        let memory = memory.map(|(cgroup, kib)| (cgroup.to_owned(), of(kib)));
        let largest = Memory { resident: 15, proportional: 7 };
        assert_eq!(largest_pods(&containers, &memory), BTreeMap::from([("cart".to_owned(), largest)]));
    }

    #[test]
    fn whatever_runs_beside_the_operator_is_the_operator() {
        let pods = json!({"items": [{"metadata": {"name": "greencommerce-x", "labels": {}},
            "status": {"phase": "Running", "containerStatuses": [{"containerID": "containerd://ccc"}]}}]});
        assert_eq!(containers_of(&pods, OPERATOR_NAMESPACE)["ccc"].component, OPERATOR);
    }
}
