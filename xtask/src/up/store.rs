//! The store of `examples/store.yaml`, running the services' image that was just built.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{cluster::kubectl::Kubectl, images::Image, ui::Step, workspace};

const NAMESPACE: &str = "greencommerce";
const READY_DEADLINE: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(500);

/// The store's manifest.
pub(super) struct Store {
    manifest: Value,
}

impl Store {
    /// The example with the image's content as `spec.image`.
    pub(super) fn read(services: &Image) -> Result<Self> {
        let file = workspace::root().join("examples/store.yaml");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let manifest =
            serde_yaml::from_str(&text).with_context(|| format!("{} is not one resource", file.display()))?;
        Ok(Self { manifest: with_image(manifest, services) })
    }

    /// Applies namespace and store, where that changes something.
    pub(super) fn apply(&self, step: &Step, kubectl: &Kubectl) -> Result<()> {
        let mut changed = kubectl.apply(step, &namespace().to_string(), None)?;
        changed |= kubectl.apply(step, &self.manifest.to_string(), Some(NAMESPACE))?;
        step.note(if changed { "applied" } else { "unchanged" });
        Ok(())
    }

    /// Waits until the operator says Ready of this very generation, and shows meanwhile what is missing. Returns the
    /// store's uid.
    pub(super) fn await_ready(&self, step: &Step, kubectl: &Kubectl) -> Result<String> {
        let deadline = Instant::now() + READY_DEADLINE;
        loop {
            let query = ["get", "store", self.name()?, "--namespace", NAMESPACE, "--output=json"];
            let store = kubectl.json(step, query)?.unwrap_or_default();
            let missing = missing(&store);
            if missing.is_empty() {
                let uid = store["metadata"]["uid"].as_str().context("the store has no uid")?;
                return Ok(uid.to_owned());
            }
            step.say(&missing[0]);
            if Instant::now() > deadline {
                bail!(
                    "the store was not Ready within {} s:\n  {}\nwhat to do: look at `kubectl -n {NAMESPACE} get \
                     stores,pods,events` and at `kubectl -n greencommerce-system logs --selector app.kubernetes.io/name=greencommerce-operator`",
                    READY_DEADLINE.as_secs(),
                    missing.join("\n  "),
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Where the shop answers on this machine.
    pub(super) fn url(&self) -> Result<String> {
        let port = self.manifest["spec"]["exposure"]["nodePort"]["port"].as_u64();
        port.map(|port| format!("http://localhost:{port}")).context("examples/store.yaml names no node port")
    }

    /// Runs a command of a service in one of its pods, with text on its standard input.
    pub(super) fn execute(
        &self,
        step: &Step,
        kubectl: &Kubectl,
        service: &str,
        command: &[&str],
        input: &str,
    ) -> Result<()> {
        let deployment = format!("deployment/{}-{service}", self.name()?);
        kubectl
            .command(step)
            .args(["exec", "--stdin", "--namespace", NAMESPACE, &deployment, "--", "/usr/local/bin/greencommerce"])
            .args(command)
            .input(input)
            .run()
    }

    fn name(&self) -> Result<&str> {
        self.manifest["metadata"]["name"].as_str().context("examples/store.yaml has no name")
    }
}

fn namespace() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    })
}

fn with_image(mut manifest: Value, services: &Image) -> Value {
    manifest["spec"]["image"]["repository"] = json!(services.repository());
    manifest["spec"]["image"]["tag"] = json!(services.content_tag());
    manifest
}

/// What keeps the store from being Ready: nothing when it is.
fn missing(store: &Value) -> Vec<String> {
    let generation = &store["metadata"]["generation"];
    let conditions = store["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let is_current = |condition: &&Value| &condition["observedGeneration"] == generation;
    let ready = conditions.iter().filter(is_current).find(|condition| condition["type"] == "Ready");
    if ready.is_some_and(|condition| condition["status"] == "True") {
        return Vec::new();
    }
    let mut missing: Vec<String> = conditions
        .iter()
        .filter(is_current)
        .filter(|condition| condition["type"].as_str().is_some_and(|kind| kind.ends_with("Ready")))
        .filter(|condition| condition["status"] != "True")
        .map(|condition| format!("{}: {}", text(condition, "type"), text(condition, "message")))
        .collect();
    // The parts say more than the sum.
    missing.sort_by_key(|line| line.starts_with("Ready:"));
    if missing.is_empty() {
        missing.push("waiting for the operator to see the store".to_owned());
    }
    missing
}

fn text<'a>(condition: &'a Value, field: &str) -> &'a str {
    condition[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(conditions: &Value) -> Value {
        json!({"metadata": {"generation": 2}, "status": {"conditions": conditions}})
    }

    #[test]
    fn readiness_of_an_earlier_generation_does_not_count() {
        let condition = |generation| json!([{"type": "Ready", "status": "True", "observedGeneration": generation}]);
        assert!(missing(&store(&condition(2))).is_empty());
        assert_eq!(missing(&store(&condition(1))), ["waiting for the operator to see the store"]);
        assert_eq!(missing(&Value::Null), ["waiting for the operator to see the store"]);
    }

    #[test]
    fn the_parts_that_are_missing_come_before_the_sum() {
        let found = missing(&store(&json!([
            {"type": "Ready", "status": "False", "message": "1 part is missing", "observedGeneration": 2},
            {"type": "EventsReady", "status": "Unknown", "message": "the broker starts", "observedGeneration": 2},
            {"type": "DatabaseReady", "status": "True", "message": "", "observedGeneration": 2},
            {"type": "Progressing", "status": "True", "message": "", "observedGeneration": 2},
        ])));
        assert_eq!(found, ["EventsReady: the broker starts", "Ready: 1 part is missing"]);
    }

    #[test]
    fn the_example_runs_the_image_that_was_built_and_has_an_address() {
        let store = Store::read(&Image::new("greencommerce/services", "0.1.0", "0123456789ab")).unwrap();
        assert_eq!(store.manifest["spec"]["image"]["tag"], "0.1.0-0123456789ab");
        assert_eq!(store.url().unwrap(), "http://localhost:30080");
    }
}
