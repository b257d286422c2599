//! The operator, by its Helm chart.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{cluster::kubectl::Kubectl, command::Cmd, digest::Key, images::Image, ui::Step, workspace};

const RELEASE: &str = "greencommerce";
const NAMESPACE: &str = "greencommerce-system";
/// A label of the release: the hash of the chart and of the values it was installed with.
const KEY: &str = "xtask-key";

/// Installs or upgrades the release, unless this very chart with these values is installed and nothing of it was changed by hand.
pub(super) fn ensure(step: &Step, helm: &Path, kubectl: &Kubectl, operator: &Image) -> Result<()> {
    let chart = workspace::root().join("charts/greencommerce");
    let values =
        [format!("image.repository={}", operator.repository()), format!("image.tag={}", operator.content_tag())];
    let key = key(&chart, &values)?;
    let helm = || -> Cmd<'_> { kubectl.with(step.command(helm)).args(["--namespace", NAMESPACE]) };
    if is_installed(step, helm, kubectl, &key)? {
        step.note("unchanged");
        return Ok(());
    }
    step.say("helm upgrade --install");
    helm()
        .args(["upgrade", "--install", RELEASE])
        .arg(&chart)
        // --take-ownership: definitions that someone applied by hand become the chart's.
        .args(["--create-namespace", "--take-ownership", "--wait", "--timeout=3m", "--history-max=3"])
        .args(values.iter().flat_map(|value| ["--set-string", value.as_str()]))
        .arg(format!("--labels={KEY}={key}"))
        .hint(format!(
            "look at `kubectl -n {NAMESPACE} get pods` and `kubectl -n {NAMESPACE} logs --selector app.kubernetes.io/name=greencommerce-operator`"
        ))
        .run()?;
    step.note("installed");
    Ok(())
}

fn is_installed<'a>(step: &'a Step, helm: impl Fn() -> Cmd<'a>, kubectl: &Kubectl, key: &str) -> Result<bool> {
    let selector = format!("--selector={KEY}={key}");
    let found = helm().args(["list", "--deployed", "--short", &selector]).attempt()?;
    if !found.success || found.stdout.trim() != RELEASE {
        return Ok(false);
    }
    let manifest = helm().args(["get", "manifest", RELEASE]).output()?;
    kubectl.is_applied(step, &manifest, "helm")
}

/// Of every file of the chart, by name, and of the values.
fn key(chart: &Path, values: &[String]) -> Result<String> {
    let mut files = Vec::new();
    collect(chart, &mut files)?;
    files.sort();
    let mut key = Key::new();
    for file in files {
        let name = file.strip_prefix(chart).unwrap_or(&file).to_string_lossy().into_owned();
        key = key.part(name).file(&file)?;
    }
    Ok(values.iter().fold(key, Key::part).hex(16))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_image_makes_another_release() {
        let chart = workspace::root().join("charts/greencommerce");
        let key = |tag: &str| key(&chart, &[format!("image.tag={tag}")]).unwrap();
        assert_ne!(key("1"), key("2"));
        assert_eq!(key("1"), key("1"));
    }
}
