//! The chart: linted, rendered, and every object it renders checked against the schemas of its kind. So are the examples.
//! Whatever its values, it gives the operator the rights that it needs.

mod rights;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::schemas;
use crate::{tools, ui::Step, workspace};

const CHART: &str = "charts/greencommerce";

/// Words that the chart replaces.
const PLACEHOLDERS: [&str; 2] = ["RUNBOOKS/", "OPERATOR_NAME"];

/// `{{ .Group }}` is `v1` for the core group, as kubeconform reads `apiVersion`.
const SCHEMA_PATH: &str = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json";

/// Lints and renders the chart with its own values and with each file in its `ci/` folder.
pub(super) fn check(step: &Step) -> Result<()> {
    let root = workspace::root();
    let tools = tools::ensure(step, &[&tools::HELM, &tools::KUBECONFORM])?;
    let scratch = root.join("target/test/chart");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    }
    let rendered = scratch.join("rendered");
    fs::create_dir_all(&rendered).with_context(|| format!("cannot create {}", rendered.display()))?;
    let helm = tools.path("helm")?;
    for values in value_sets(&root.join(CHART))? {
        step.say(&format!("values: {}", values.name));
        step.command(helm).args(["lint", "--strict", CHART]).args(&values.arguments).directory(&root).run()?;
        let manifests = step
            .command(helm)
            .args(["template", "greencommerce", CHART, "--namespace", "greencommerce-system"])
            .args(&values.arguments)
            .directory(&root)
            .output()?;
        let forgotten = PLACEHOLDERS.iter().find(|word| manifests.contains(**word));
        ensure!(forgotten.is_none(), "the values {} leave {forgotten:?} as it stands", values.name);
        rights::check(&manifests).with_context(|| format!("the chart with the values {}", values.name))?;
        fs::write(rendered.join(format!("{}.yaml", values.name)), manifests)?;
    }
    let folders = [rendered, root.join("examples")];
    validate(step, tools.path("kubeconform")?, &scratch.join("schemas"), &folders)
}

struct Values {
    name: String,
    arguments: Vec<String>,
}

fn value_sets(chart: &Path) -> Result<Vec<Values>> {
    let mut sets = vec![Values { name: "default".to_owned(), arguments: Vec::new() }];
    for path in yaml_files(&chart.join("ci"))? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        sets.push(Values { name, arguments: vec!["--values".to_owned(), path.display().to_string()] });
    }
    Ok(sets)
}

fn validate(step: &Step, kubeconform: &Path, schema_dir: &Path, folders: &[PathBuf]) -> Result<()> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(yaml_files(folder)?);
    }
    ensure!(!files.is_empty(), "nothing was rendered");
    schemas::write(step, schema_dir, &files)?;
    let summary = step
        .command(kubeconform)
        .args(["-strict", "-summary", "-schema-location"])
        .arg(schema_dir.join(SCHEMA_PATH))
        .args(&files)
        .output()?;
    step.note(summary.lines().last().unwrap_or_default());
    Ok(())
}

/// The YAML files of a folder, by name; none where there is no folder.
pub(super) fn yaml_files(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
