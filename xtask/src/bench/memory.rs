//! Resident memory of pods, read from the processes of their containers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
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

/// The largest resident memory of one pod of each component over ten seconds, in KiB.
pub(super) fn at_rest(step: &Step, kubectl: &Kubectl) -> Result<BTreeMap<String, u64>> {
    let mut containers = BTreeMap::new();
    for namespace in [STORE_NAMESPACE, OPERATOR_NAMESPACE] {
        let pods = kubectl.json(step, ["get", "pods", "--namespace", namespace, "--output=json"])?;
        containers.extend(containers_of(&pods.context("kubectl lists no pods")?, namespace));
    }
    ensure!(!containers.is_empty(), "no pod of the store runs: `cargo xtask up` makes one");
    let mut largest = BTreeMap::new();
    for sample in 1..=SAMPLES {
        step.say(&format!("sample {sample} of {SAMPLES}"));
        for (component, kib) in largest_pods(&containers, &resident_memory()?) {
            let known = largest.entry(component).or_insert(0);
            *known = kib.max(*known);
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
fn largest_pods(containers: &BTreeMap<String, Owner>, memory: &[(String, u64)]) -> BTreeMap<String, u64> {
    let mut pods: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (cgroup, kib) in memory {
        let owner = containers.iter().find(|(id, _)| cgroup.contains(id.as_str())).map(|(_, owner)| owner);
        if let Some(Owner { pod, component }) = owner {
            *pods.entry((component, pod)).or_default() += kib;
        }
    }
    let mut largest = BTreeMap::new();
    for ((component, _), kib) in pods {
        let known = largest.entry(component.to_owned()).or_insert(0);
        *known = kib.max(*known);
    }
    largest
}

/// The control groups and the resident memory, in KiB, of every process on the machine.
fn resident_memory() -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let dir = entry?.path();
        // A process may end while it is looked at.
        let (Ok(cgroup), Ok(status)) = (fs::read_to_string(dir.join("cgroup")), fs::read_to_string(dir.join("status")))
        else {
            continue;
        };
        if let Some(kib) = vm_rss(&status) {
            found.push((cgroup, kib));
        }
    }
    Ok(found)
}

/// `VmRSS` of `/proc/<pid>/status` (proc(5)), in KiB; a kernel thread has none.
fn vm_rss(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status_of_a_process() {
        assert_eq!(vm_rss("Name:\tx\nVmRSS:\t    9876 kB\nRssAnon:\t 1 kB\n"), Some(9876));
        assert_eq!(vm_rss("Name:\tkthreadd\n"), None);
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
        let memory = memory.map(|(cgroup, kib)| (cgroup.to_owned(), kib));
        assert_eq!(largest_pods(&containers, &memory), BTreeMap::from([("cart".to_owned(), 15)]));
    }

    #[test]
    fn whatever_runs_beside_the_operator_is_the_operator() {
        let pods = json!({"items": [{"metadata": {"name": "greencommerce-x", "labels": {}},
            "status": {"phase": "Running", "containerStatuses": [{"containerID": "containerd://ccc"}]}}]});
        assert_eq!(containers_of(&pods, OPERATOR_NAMESPACE)["ccc"].component, OPERATOR);
    }
}
