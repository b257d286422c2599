//! docs/benchmarks.md: what is between the markers is ours, the rest is left alone.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    first_order::Timing,
    machine::tenths,
    memory::{Memory, OPERATOR},
};

const PAGE: &str =
    "# Benchmarks\n\nFigures of one machine, measured by the commands named here; run them to get your own.\n";
const SERVICES: [&str; 6] = ["gateway", "auth", "catalog", "inventory", "cart", "orders"];
const MIB: u64 = 1024 * 1024;

/// A part of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    /// What is measured: `cargo xtask bench <name>`.
    pub(super) name: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
}

/// Pods, images and the first order.
pub(super) const FOOTPRINT: Section = Section { name: "footprint", title: "Footprint" };
/// The operator alone.
pub(super) const OPERATOR_ALONE: Section = Section { name: "operator", title: "Operator" };

/// What was measured.
pub(super) struct Figures {
    pub(super) machine: String,
    /// Bytes by repository.
    pub(super) images: BTreeMap<String, u64>,
    /// By component.
    pub(super) memory: BTreeMap<String, Memory>,
    pub(super) timing: Timing,
}

/// The figures and how they were measured.
pub(super) fn render(figures: &Figures) -> String {
    let Figures { machine, images, memory, timing } = figures;
    let mut text = format!("Machine: {machine}.\n\n### Memory at rest\n\n");
    text.push_str(
        "All processes of a pod, found by the pod's control group: the largest of ten samples in ten seconds, and the largest \
         pod where a component has several. No requests but the probes. Resident is `VmRSS` of `/proc/<pid>/status`: it counts \
         the program's own pages in full for each pod, though all services run one binary whose pages are in memory once. \
         Proportional is `Pss` of `/proc/<pid>/smaps_rollup`: a shared page counts by its share.\n\n\
         | pod | resident, MiB | proportional, MiB |\n|---|---:|---:|\n",
    );
    for name in SERVICES.into_iter().chain([OPERATOR]) {
        memory_row(&mut text, name, memory.get(name).copied());
    }
    let sum: Option<Memory> = SERVICES.iter().map(|name| memory.get(*name).copied()).sum();
    memory_row(&mut text, "**the six services together**", sum);
    for (name, size) in memory.iter().filter(|(name, _)| !SERVICES.contains(&name.as_str()) && *name != OPERATOR) {
        memory_row(&mut text, &format!("{name} (not ours)"), Some(*size));
    }
    text.push_str(
        "\n### Images\n\nAs the container runtime of the nodes counts them.\n\n| image | MiB |\n|---|---:|\n",
    );
    for (name, bytes) in images {
        row(&mut text, &format!("`{name}`"), &tenths(*bytes, MIB));
    }
    text.push_str(
        "\n### From `kubectl apply` to the first order\n\nA second store with every default, in a namespace of its own, images \
         present on the nodes, the first store at rest beside it. The first order: the first administrator is made, logs in \
         and creates a product; a customer registers, logs in, fills the cart and checks out.\n\n\
         | from `kubectl apply` to | seconds |\n|---|---:|\n",
    );
    row(&mut text, "`Ready`", &seconds(timing.ready));
    row(&mut text, "the first order", &seconds(timing.first_order));
    text
}

/// Writes the page, or only what is between the section's markers where there is one.
pub(super) fn write(path: &Path, section: Section, figures: &str) -> Result<()> {
    let old = fs::read_to_string(path).unwrap_or_else(|_| PAGE.to_owned());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    fs::write(path, section.replace(&old, figures)?).with_context(|| format!("cannot write {}", path.display()))
}

impl Section {
    /// The page with this section's figures; a section that is not there is added at the end.
    fn replace(self, page: &str, figures: &str) -> Result<String> {
        let Self { name, title } = self;
        let begin = format!("<!-- {name}: written by `cargo xtask bench {name}` -->");
        let end = format!("<!-- /{name} -->");
        let Some((before, rest)) = page.split_once(&begin) else {
            return Ok(format!("{page}\n## {title}\n\n{begin}\n\n{figures}\n{end}\n"));
        };
        let missing = || format!("docs/benchmarks.md has no marker for the end of {name}");
        let (_, after) = rest.split_once(&end).with_context(missing)?;
        Ok(format!("{before}{begin}\n\n{figures}\n{end}{after}"))
    }
}

fn row(table: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(table, "| {name} | {value} |");
}

fn memory_row(table: &mut String, name: &str, memory: Option<Memory>) {
    let mib = |kib| tenths(kib, 1024);
    let cells = memory.map(|memory| format!("{} | {}", mib(memory.resident), mib(memory.proportional)));
    row(table, name, cells.as_deref().unwrap_or("not running | not running"));
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let mib = |mib: u64| Memory { resident: mib * 1024, proportional: mib * 512 };
        let memory = SERVICES.iter().map(|name| ((*name).to_owned(), mib(10)));
        Figures {
            machine: "2 cores".to_owned(),
            images: BTreeMap::from([("greencommerce/services".to_owned(), 50 * MIB)]),
            memory: memory.chain([("postgres".to_owned(), mib(2)), (OPERATOR.to_owned(), mib(1))]).collect(),
            timing: Timing { ready: Duration::from_millis(31_200), first_order: Duration::from_secs(33) },
        }
    }

    #[test]
    fn the_services_are_summed_without_operator_and_data() {
        let text = render(&figures());
        for expected in [
            "| **the six services together** | 60.0 | 30.0 |",
            "| operator | 1.0 | 0.5 |",
            "| postgres (not ours) | 2.0 | 1.0 |",
            "| `greencommerce/services` | 50.0 |",
            "| `Ready` | 31.2 |",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn a_service_that_does_not_run_makes_no_sum() {
        let mut figures = figures();
        figures.memory.remove("cart");
        assert!(render(&figures).contains("| **the six services together** | not running | not running |"));
    }

    #[test]
    fn what_people_wrote_around_the_markers_stays() {
        let begin = "<!-- footprint: written by `cargo xtask bench footprint` -->";
        let end = "<!-- /footprint -->";
        let page = format!("# Title\n\nwords\n\n{begin}\nold\n{end}\n\nmore words\n");
        let once = FOOTPRINT.replace(&page, "new\n").unwrap();
        assert_eq!(once, format!("# Title\n\nwords\n\n{begin}\n\nnew\n\n{end}\n\nmore words\n"));
        assert_eq!(FOOTPRINT.replace(&once, "new\n").unwrap(), once);
        assert!(FOOTPRINT.replace(begin, "new").is_err());
    }

    #[test]
    fn a_section_that_is_not_there_yet_comes_last() {
        let once = OPERATOR_ALONE.replace("# Title\n", "new\n").unwrap();
        assert!(once.starts_with("# Title\n\n## Operator\n\n<!-- operator: written by"));
        assert_eq!(OPERATOR_ALONE.replace(&once, "new\n").unwrap(), once);
    }
}
