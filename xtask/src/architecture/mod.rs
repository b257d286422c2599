//! ARCHITECTURE.md, kept true: its code map lists what is there, and each of its invariants of absence is a rule here.

mod document;
mod rules;
mod source;

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::packages;
use source::Source;

/// What the rules look at.
struct Workspace {
    packages: Vec<packages::Package>,
    sources: Vec<Source>,
    /// The names of all packages that are compiled, on any platform.
    compiled: BTreeSet<String>,
}

/// Checks the document and every rule. Returns how many rules hold, or says all that is wrong.
pub(crate) fn check(root: &Path) -> Result<usize> {
    let path = root.join("ARCHITECTURE.md");
    let document = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let workspace = Workspace::read(root)?;
    let folders: Vec<String> = workspace.packages.iter().map(|package| package.folder.clone()).collect();
    let mut wrong = document::code_map(&document, &folders, |folder| root.join(folder).is_dir());
    wrong.extend(document::invariants(&document, &rules::ALL.map(|rule| rule.name)));
    for rule in rules::ALL {
        wrong.extend((rule.check)(&workspace).into_iter().map(|found| format!("{}: {found}", rule.name)));
    }
    if wrong.is_empty() {
        return Ok(rules::ALL.len());
    }
    bail!("ARCHITECTURE.md and the code differ:\n{}", wrong.join("\n"))
}

impl Workspace {
    fn read(root: &Path) -> Result<Self> {
        let packages = packages::of_workspace()?;
        let mut sources = Vec::new();
        for package in &packages {
            sources.extend(source::of_folder(root, &package.dir)?);
        }
        Ok(Self { packages, sources, compiled: packages::compiled()? })
    }

    /// The sources below folders whose path, relative to the root, `wanted` recognises.
    fn sources(&self, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(move |source| wanted(&source.path))
    }
}
