//! `cargo xtask gen`: what is generated from the code and committed beside it.

mod artifacts;
mod crds;
mod openapi;
mod queries;
mod reference;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    packages,
    ui::{self, Step, Ui},
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
    /// The fields of the custom resources: docs/reference.md
    Reference,
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
    let parts: Vec<Part> = PARTS.into_iter().filter(|part| options.part.is_none_or(|only| only == *part)).collect();
    let mut changed = Vec::new();
    for part in parts {
        changed.extend(ui.step(part.title(), |step| part.generate(step, mode, &options.packages))?);
    }
    report(mode, &changed)
}

/// Fails, and names the files, where something generated is not what the code generates.
pub(crate) fn check(step: &Step) -> Result<()> {
    let mut changed = Vec::new();
    for part in PARTS {
        step.say(part.title());
        changed.extend(part.generate(step, Mode::Check, &[])?);
    }
    report(Mode::Check, &changed)
}

/// The reference is made from the definitions, so these come first.
const PARTS: [Part; 4] = [Part::Sqlx, Part::Crds, Part::Reference, Part::Openapi];

impl Part {
    fn title(self) -> &'static str {
        match self {
            Self::Crds => "Custom resource definitions",
            Self::Sqlx => "SQL queries",
            Self::Openapi => "OpenAPI document",
            Self::Reference => "Reference of fields",
        }
    }

    fn generate(self, step: &Step, mode: Mode, packages: &[String]) -> Result<Vec<PathBuf>> {
        match self {
            Self::Crds => crds::generate(step, mode),
            Self::Sqlx => queries::generate(step, mode, packages),
            Self::Openapi => openapi::generate(step, mode),
            Self::Reference => reference::generate(mode),
        }
    }
}

/// Builds one of our programs; its path.
///
/// Where everything is checked, the whole workspace and its tests are compiled at the same time: asked for alone, a program
/// has fewer features in its dependencies, which would then be compiled twice.
fn program(step: &Step, name: &str, mode: Mode) -> Result<PathBuf> {
    let selection: &[&str] = match mode {
        Mode::Write => &["--package", name],
        Mode::Check => &["--workspace", "--exclude", "e2e", "--bins", "--tests"],
    };
    step.command("cargo").args(["build", "--locked"]).args(selection).directory(&workspace::root()).run()?;
    Ok(packages::target_directory()?.join("debug").join(name))
}

fn report(mode: Mode, changed: &[PathBuf]) -> Result<()> {
    let root = workspace::root();
    let names = changed.iter().map(|path| format!("  {}", path.strip_prefix(&root).unwrap_or(path).display()));
    let list = names.collect::<Vec<_>>().join("\n");
    match mode {
        Mode::Check if !changed.is_empty() => {
            bail!("not what the code generates; run `cargo xtask gen` and commit:\n{list}")
        }
        Mode::Write if !changed.is_empty() => ui::line(&format!("written or removed:\n{list}")),
        Mode::Write => ui::line("everything generated is up to date"),
        Mode::Check => {}
    }
    Ok(())
}
