//! `cargo xtask gen`: what is generated from the code and committed beside it.

mod artifacts;
mod crds;
mod openapi;
mod queries;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    ui::{self, Ui},
    workspace,
};

/// What `gen` generates.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this part; all of them when left out
    part: Option<Part>,

    /// With `sqlx`: only these packages
    #[arg(requires = "part")]
    packages: Vec<String>,

    /// Change nothing; fail and name the files that are not what they would be generated as
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Custom resource definitions: crds/ and the chart's copy
    Crds,
    /// The types of the SQL queries, for builds without a database: .sqlx/ of each package
    Sqlx,
    /// The merged OpenAPI document: docs/api/openapi.json
    Openapi,
}

/// Whether generated files are written or only compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Generates what was asked for.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ui = Ui::new(&workspace::root().join("target/gen"))?;
    let mode = if options.check { Mode::Check } else { Mode::Write };
    let wanted = |part| options.part.is_none_or(|only| only == part);
    let mut changed = Vec::new();
    if wanted(Part::Sqlx) {
        changed.extend(ui.step("SQL queries", |step| queries::generate(step, mode, &options.packages))?);
    }
    if wanted(Part::Crds) {
        changed.extend(ui.step("custom resource definitions", |step| crds::generate(step, mode))?);
    }
    if wanted(Part::Openapi) {
        changed.extend(ui.step("OpenAPI document", |step| openapi::generate(step, mode))?);
    }
    report(mode, &changed)
}

fn report(mode: Mode, changed: &[PathBuf]) -> Result<()> {
    let root = workspace::root();
    let names = changed.iter().map(|path| format!("  {}", path.strip_prefix(&root).unwrap_or(path).display()));
    let list = names.collect::<Vec<_>>().join("\n");
    match mode {
        _ if changed.is_empty() => ui::line("everything generated is up to date"),
        Mode::Write => ui::line(&format!("written or removed:\n{list}")),
        Mode::Check => bail!("not what the code generates; run `cargo xtask gen` and commit:\n{list}"),
    }
    Ok(())
}
