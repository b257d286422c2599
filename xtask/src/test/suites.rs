//! The tests themselves. One set of features and one profile, so that everything is compiled once.

use anyhow::Result;

use crate::{command::Cmd, ui::Step, workspace};

/// Compiles every test but the cluster's.
pub(super) fn compile(step: &Step) -> Result<()> {
    cargo_test(step).arg("--no-run").run()
}

/// Unit tests of libraries and programs, then the examples in the documentation.
pub(super) fn unit(step: &Step) -> Result<()> {
    let units = cargo_test(step).args(["--no-fail-fast", "--lib", "--bins"]).run();
    let examples = cargo_test(step).args(["--no-fail-fast", "--doc"]).run();
    units.and(examples)
}

/// The tests in `tests/` folders. The first that needs a backing service starts it, the same that `cargo xtask dev` uses.
pub(super) fn services(step: &Step) -> Result<()> {
    cargo_test(step).args(["--no-fail-fast", "--test", "*"]).run()
}

/// A cluster with a store on it, as a person would make it.
pub(super) fn cluster_up(step: &Step) -> Result<()> {
    let program = std::env::current_exe()?;
    step.command(program).args(["up", "--nodes", "2"]).directory(&workspace::root()).run()
}

/// The black-box tests of the cluster, one at a time: they drain nodes and roll the store under load.
pub(super) fn cluster(step: &Step) -> Result<()> {
    step.command("cargo")
        .args(["test", "--locked", "--package", "e2e", "--no-fail-fast", "--", "--test-threads", "1"])
        .env("CARGO_TERM_COLOR", "never")
        .directory(&workspace::root())
        .run()
}

fn cargo_test(step: &Step) -> Cmd<'_> {
    step.command("cargo")
        .args(["test", "--locked", "--workspace", "--exclude", "e2e"])
        .env("CARGO_TERM_COLOR", "never")
        .directory(&workspace::root())
}
