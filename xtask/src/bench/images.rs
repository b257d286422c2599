//! Sizes of images, as the nodes' container runtime knows them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{cluster::kubectl::Kubectl, ui::Step};

/// What the shop itself consists of.
const OURS: [&str; 2] = ["greencommerce/services", "greencommerce/operator"];

/// The images by repository, with the bytes of the newest tag each.
pub(super) fn sizes(step: &Step, kubectl: &Kubectl) -> Result<BTreeMap<String, u64>> {
    let running = kubectl.json(step, ["get", "pods", "--all-namespaces", "--output=json"])?;
    let nodes = kubectl.json(step, ["get", "nodes", "--output=json"])?;
    let sizes = of(&running.context("there are no pods")?, &nodes.context("there are no nodes")?);
    for image in OURS {
        ensure!(sizes.contains_key(image), "no node lists the image {image}: is the store running?");
    }
    Ok(sizes)
}

/// Only images that a pod runs, so that older builds on the nodes are not mistaken for the present one.
fn of(pods: &Value, nodes: &Value) -> BTreeMap<String, u64> {
    let specs = items(pods).flat_map(|pod| list(&pod["spec"]["containers"]));
    let running: Vec<&str> = specs.filter_map(|container| container["image"].as_str()).collect();
    let mut sizes = BTreeMap::new();
    for image in items(nodes).flat_map(|node| list(&node["status"]["images"])) {
        let names = list(&image["names"]).filter_map(Value::as_str);
        for name in names.filter(|name| running.iter().any(|running| is_same(running, name))) {
            let repository = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
            let short = OURS.into_iter().find(|ours| repository.ends_with(ours));
            if let (Some(short), Some(bytes)) = (short, image["sizeBytes"].as_u64()) {
                sizes.insert(short.to_owned(), bytes);
            }
        }
    }
    sizes
}

/// The runtime puts a registry's name before what the pod says.
fn is_same(running: &str, listed: &str) -> bool {
    listed.strip_suffix(running).is_some_and(|registry| registry.is_empty() || registry.ends_with('/'))
}

fn items(answer: &Value) -> impl Iterator<Item = &Value> {
    list(&answer["items"])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_size_is_that_of_the_image_that_runs() {
        let pods = json!({"items": [{"spec": {"containers": [{"image": "greencommerce/services:2"}]}}]});
        let nodes = json!({"items": [{"status": {"images": [
            {"names": ["registry.example/greencommerce/services:1"], "sizeBytes": 1},
            {"names": ["registry.example/greencommerce/services:2"], "sizeBytes": 2},
            {"names": ["registry.example/notgreencommerce/services:2"], "sizeBytes": 3},
        ]}}]});
        assert_eq!(of(&pods, &nodes), BTreeMap::from([("greencommerce/services".to_owned(), 2)]));
    }
}
