//! The tests themselves. One set of features and one profile, so that everything is compiled once.

use std::path::Path;

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

/// Service tests that run at the same time, however many processors there are: most of each is waiting.
const SERVICE_TESTS: &str = "6";

/// The tests in `tests/` folders. The first that needs a backing service starts it, the same that `cargo xtask dev` uses.
/// Where an operator runs as a process of its own, it is this one.
pub(super) fn services(step: &Step, operator: Option<&Path>) -> Result<()> {
    let tests = cargo_test(step).args(["--no-fail-fast", "--test", "*"]).env("RUST_TEST_THREADS", SERVICE_TESTS);
    match operator {
        Some(program) => tests.env("OPERATOR_PROGRAM", program).run(),
        None => tests.run(),
    }
}

/// A cluster with a store on it, as a person would make it: by this very program, whose file an earlier step may have
/// replaced.
pub(super) fn cluster_up(step: &Step) -> Result<()> {
    step.command("/proc/self/exe").args(["up", "--nodes", "2"]).directory(&workspace::root()).run()
}

/// Black-box tests that may wait at the same time: all.
const CLUSTER_TESTS: &str = "64";

/// The black-box tests of the cluster. They see to it themselves that those that disturb others run alone.
pub(super) fn cluster(step: &Step) -> Result<()> {
    e2e(step).env("RUST_TEST_THREADS", CLUSTER_TESTS).run()
}

/// The last test: removing the cluster leaves nothing behind.
pub(super) fn cluster_down(step: &Step) -> Result<()> {
    e2e(step).args(["--test", "zz_down"]).run()
}

fn e2e(step: &Step) -> Cmd<'_> {
    step.command("cargo")
        .args(["test", "--locked", "--package", "e2e", "--no-fail-fast"])
        .env("CARGO_TERM_COLOR", "never")
        // An error says what was waited for and what was seen instead; forty frames of an executor say nothing.
        .env("RUST_LIB_BACKTRACE", "0")
        .directory(&workspace::root())
}

fn cargo_test(step: &Step) -> Cmd<'_> {
    step.command("cargo")
        .args(["test", "--locked", "--workspace", "--exclude", "e2e"])
        .env("CARGO_TERM_COLOR", "never")
        .directory(&workspace::root())
}
