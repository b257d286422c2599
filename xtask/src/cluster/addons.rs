//! What a bare cluster lacks: DNS, metrics, a default `StorageClass`. Manifests are in `cluster/addons`.

use std::fs;

use anyhow::{Context as _, Result};

use super::{Provider, kubectl::Kubectl};
use crate::{images::Image, ui::Step, workspace};

/// Applies what differs and waits until all of it is available.
pub(crate) fn ensure(step: &Step, provider: &dyn Provider, kubectl: &Kubectl, images: &[Image]) -> Result<()> {
    let volumes = provider.volumes();
    let mut manifests = String::new();
    for name in provider.addons() {
        let file = workspace::root().join(format!("cluster/addons/{name}.yaml"));
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        manifests.push_str(&with_tags(&text, images).replace("@VOLUMES@", &volumes.to_string_lossy()));
        manifests.push_str("\n---\n");
    }
    let changed = kubectl.apply(step, &manifests, None)?;
    for namespace in ["kube-system", "local-path-storage"] {
        step.say(&format!("waiting for {namespace}"));
        kubectl
            .command(step)
            .args([
                "wait",
                "deployment",
                "--all",
                "--for=condition=Available",
                "--timeout=180s",
                "--namespace",
                namespace,
            ])
            .hint(format!("look at `kubectl -n {namespace} get pods` and `kubectl -n {namespace} describe pods`"))
            .run()?;
    }
    kubectl
        .command(step)
        .args(["wait", "apiservice", "v1beta1.metrics.k8s.io", "--for=condition=Available", "--timeout=60s"])
        .run()?;
    step.note(if changed { "applied" } else { "unchanged" });
    Ok(())
}

/// Adds the content's tag to each `image:` of ours that has none, so that new content rolls the pods.
fn with_tags(manifest: &str, images: &[Image]) -> String {
    manifest
        .lines()
        .map(|line| {
            let image = line
                .trim()
                .strip_prefix("image: ")
                .and_then(|name| images.iter().find(|image| image.repository() == name));
            match image {
                Some(image) => format!("{}:{}\n", line.trim_end(), image.content_tag()),
                None => format!("{line}\n"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_of_the_add_ons_is_one_we_build() {
        let images: Vec<Image> = ["coredns", "metrics-server", "local-path-provisioner", "helper"]
            .map(|name| Image::new(&format!("greencommerce/{name}"), "local", "0123456789ab"))
            .to_vec();
        for name in ["dns", "metrics-server", "storage"] {
            let text = fs::read_to_string(workspace::root().join(format!("cluster/addons/{name}.yaml"))).unwrap();
            let tagged = with_tags(&text, &images);
            let lines: Vec<&str> = tagged.lines().filter(|line| line.trim_start().starts_with("image: ")).collect();
            assert!(!lines.is_empty());
            for line in lines {
                assert!(line.ends_with(":local-0123456789ab"), "{line}");
            }
        }
    }
}
