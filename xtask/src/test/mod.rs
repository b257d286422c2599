//! `cargo xtask test`: every check and every test, in one order, all of them also after a failure.

mod alerts;
mod chart;
mod checks;
mod schemas;
mod suites;
mod tally;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    images, tools,
    ui::{self, Step, Ui},
    workspace,
};
use tally::Tally;

/// What `test` runs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these parts; everything when left out
    parts: Vec<Part>,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Everything that reads the code and runs none of it: format, lints, docs, dependencies, generated files, architecture,
    /// chart, alerts
    Checks,
    /// Tests of single packages that need nothing outside of their process, and documentation examples
    Unit,
    /// Tests of services on the real PostgreSQL, Kafka and Redis, and of the operator on a real Kubernetes API server
    Services,
    /// The chart and its alerts, then tests on a real cluster
    Cluster,
}

/// Runs the wanted parts, always in the same order. The last line is `N passed, N failed`, where a check counts as one.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ui = Ui::new(&workspace::root().join("target/test"))?;
    let mut run = Run { ui: &ui, tally: Tally::default(), failures: Vec::new() };
    run.check("Debian packages", checks::packages);
    if options.wants(Part::Checks) {
        checks(&mut run);
    }
    if options.wants(Part::Unit) && options.wants(Part::Services) {
        run.check("Compile tests", suites::compile);
    }
    if options.wants(Part::Unit) {
        run.tests("Unit tests", suites::unit);
    }
    if options.wants(Part::Services) {
        run.check("Tools", tools::link_control_plane);
        let mut operator = None;
        // It is killed and started hundreds of times. The cluster needs the one that ships anyway; else this build's will do.
        if options.wants(Part::Cluster) {
            run.check("Release build", |step| {
                operator = Some(images::program(step, "operator")?);
                Ok(())
            });
        }
        run.tests("Service tests", |step| suites::services(step, operator.as_deref()));
    }
    if options.wants(Part::Checks) || options.wants(Part::Cluster) {
        run.check("Chart", chart::check);
        run.check("Alerts", alerts::check);
    }
    if options.wants(Part::Cluster) {
        run.check("Cluster", suites::cluster_up);
        run.tests("Cluster tests", suites::cluster);
        // A person goes on with the cluster; elsewhere it is removed, which is a test too.
        if std::env::var_os("CI").is_some() {
            run.tests("Cluster down", suites::cluster_down);
        }
    }
    run.finish()
}

fn checks(run: &mut Run<'_>) {
    run.check("Format", checks::format);
    run.check("Clippy", checks::clippy);
    run.check("Docs", checks::docs);
    run.check("Dependencies", checks::deny);
    run.check("Generated files", checks::generated);
    run.check("Architecture", checks::architecture);
}

/// A run that goes on after failures and remembers them.
struct Run<'a> {
    ui: &'a Ui,
    tally: Tally,
    failures: Vec<String>,
}

impl Run<'_> {
    /// A check passes or fails as a whole.
    fn check(&mut self, title: &str, work: impl FnOnce(&Step) -> Result<()>) {
        let result = self.ui.step(title, work);
        self.tally.add(if result.is_ok() { Tally::PASSED } else { Tally::FAILED });
        self.note(title, result);
    }

    /// Tests are counted one by one from what cargo prints.
    fn tests(&mut self, title: &str, work: impl FnOnce(&Step) -> Result<()>) {
        let mut output = String::new();
        let result = self.ui.step(title, |step| {
            let result = work(step);
            output = std::fs::read_to_string(step.log())?;
            let tally = Tally::of_cargo_output(&output);
            step.note(tally.to_string());
            result
        });
        let mut tally = Tally::of_cargo_output(&output);
        if result.is_err() && tally.failed == 0 {
            // Something did not compile, or ended without a word.
            tally.add(Tally::FAILED);
        }
        if result.is_ok() && tally.passed == 0 {
            ui::line("    no test ran");
            tally.add(Tally::FAILED);
            self.failures.push(format!("{title}: no test ran"));
        }
        self.tally.add(tally);
        if result.is_err() {
            ui::line(&tally::failures(&output));
        }
        self.note(title, result);
    }

    fn note(&mut self, title: &str, result: Result<()>) {
        if let Err(error) = result {
            ui::report(&error);
            self.failures.push(title.to_owned());
        }
    }

    fn finish(self) -> Result<()> {
        ui::line("");
        ui::line(&self.ui.timings());
        for failure in &self.failures {
            ui::line(&format!("failed: {failure}"));
        }
        ui::line("");
        ui::line(&self.tally.to_string());
        if self.tally.failed > 0 || !self.failures.is_empty() {
            bail!("not everything passed; the logs are in {}", workspace::root().join("target/test").display());
        }
        Ok(())
    }
}
