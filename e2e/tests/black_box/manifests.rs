//! Manifests: those that must be refused are refused with a reason, and those in `examples/` are accepted.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{Cluster, Outcome, Resource, STORE_DATABASES, STORE_SERVICES, STORE_TOPICS, STORES, Space, workspace};
use serde::Deserialize;
use serde_json::Value;

const READY: Duration = Duration::from_mins(3);

/// A file of `tests/data/invalid`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    /// A part of the message.
    expect: String,
    /// What is there already, where it is the change that is refused.
    before: Option<Value>,
    /// What must be refused.
    manifest: Value,
}

#[tokio::test]
async fn invalid_manifests_are_refused_with_a_message_that_says_what_to_do() -> Result<()> {
    let cluster = Cluster::elsewhere().await?;
    // Given a namespace in which objects may be written but no pod starts
    let space = cluster.namespace("invalid").await?;
    space.apply(NO_PODS).await?;
    let files = files(&workspace().join("e2e/tests/data/invalid"))?;
    ensure!(files.len() >= 25, "only {} invalid manifests", files.len());

    // When somebody applies a manifest that is wrong
    let mut wrong = Vec::new();
    for file in &files {
        // Then it is refused with the message that belongs to it, and nothing is stored or changed.
        let text = fs::read_to_string(file)?;
        let invalid: Invalid = serde_yaml::from_str(&text).with_context(|| file.display().to_string())?;
        if let Err(error) = refuse(&space, &invalid).await {
            wrong.push(format!("{}: {error:#}", file.file_name().unwrap_or_default().display()));
        }
    }
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
    space.remove(READY).await
}

#[tokio::test]
async fn every_example_is_accepted_as_it_stands() -> Result<()> {
    let cluster = Cluster::elsewhere().await?;
    let space = cluster.namespace("examples").await?;
    // Given the examples
    let files = files(&workspace().join("examples"))?;
    ensure!(files.len() >= 5, "{files:?}");
    for file in &files {
        // When the API server is asked
        let text = fs::read_to_string(file)?;
        let Outcome { success, stderr, .. } = space.try_apply(&text, &["--dry-run=server"]).await?;

        // Then it would take each, without a warning.
        ensure!(success && !stderr.to_lowercase().contains("warning"), "{}: {stderr}", file.display());
    }
    Ok(())
}

/// So that a store of a refused change costs nothing.
const NO_PODS: &str = r#"{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}}"#;

async fn refuse(space: &Space, invalid: &Invalid) -> Result<()> {
    let kind = kind(&invalid.manifest)?;
    let name = text_of(&invalid.manifest["metadata"]["name"])?;
    let generation = match &invalid.before {
        Some(before) => {
            space.apply(&before.to_string()).await.context("the object of before")?;
            Some(space.get(kind, &name).await?["metadata"]["generation"].clone())
        }
        None => None,
    };
    let outcome = space.try_apply(&invalid.manifest.to_string(), &[]).await?;
    let now = space.find(kind, &name).await?.map(|object| object["metadata"]["generation"].clone());
    space.delete(kind, &name).await?;
    ensure!(!outcome.success, "it was accepted");
    ensure!(outcome.stderr.contains(&invalid.expect), "not {:?} but: {}", invalid.expect, outcome.stderr.trim());
    ensure!(now == generation, "something was stored: generation {generation:?} before, {now:?} after");
    Ok(())
}

/// The YAML files of a folder, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

fn kind(manifest: &Value) -> Result<Resource> {
    Ok(match manifest["kind"].as_str() {
        Some("Store") => STORES,
        Some("StoreService") => STORE_SERVICES,
        Some("StoreDatabase") => STORE_DATABASES,
        Some("StoreTopic") => STORE_TOPICS,
        other => anyhow::bail!("{other:?} is none of our kinds"),
    })
}

fn text_of(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("{value} is no text"))
}
