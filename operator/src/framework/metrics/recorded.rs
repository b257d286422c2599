//! Every figure that this process tells, with its labels, as Prometheus reads them. The guide lists them all.

use std::collections::{BTreeMap, BTreeSet};

use kube::runtime::watcher::Event;

use super::{tests::store, *};
use crate::framework::scenario::Scenario;

/// The labels of each figure, by its name.
pub(super) fn labels() -> BTreeMap<String, BTreeSet<String>> {
    let recorder = builder().unwrap().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        reconciled("store", Duration::from_secs(1), Some(Reason::NameTaken));
        wrote("Pod", "apply");
        watch_failed("Pod");
        leading(true);
        transitions(Some(1));
    });
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in [handle.render(), counted()].concat().lines().filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, rest) = series.split_once('{').unwrap_or((series, ""));
        let names =
            rest.trim_end_matches('}').split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name);
        labels.entry(name.to_owned()).or_default().extend(names.map(str::to_owned));
    }
    labels
}

/// What is counted when it is asked for, of a world with one of each.
fn counted() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_, context, mut writers) = Scenario::of(vec![]);
        let store = store("green", false, Some(("False", "NameTaken")));
        writers.stores.apply_watcher_event(&Event::Apply(store));
        context.activity.waits("store", "shop/green".to_owned());
        snapshot(&context.cache, &context.activity)
    })
}

#[test]
fn the_guide_lists_every_figure_with_its_labels_and_no_other() {
    let guide = include_str!("../../../../docs/operator.md");
    let (_, section) = guide.split_once("\n### Figures\n").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let mut listed = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `greencommerce_operator_")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let words =
            |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
        let name = words(cells[0]).pop_first().unwrap();
        assert!(cells[2].split_whitespace().count() >= 3, "the guide says too little about {name}");
        assert!(listed.insert(name, words(cells[1])).is_none(), "the guide lists a figure twice: {row}");
    }
    let mut told = labels();
    // A histogram is one figure.
    for part in ["sum", "count", "bucket"] {
        let labels = told.remove(&format!("{DURATION}_{part}")).unwrap();
        told.insert(DURATION.to_owned(), labels);
    }
    assert_eq!(listed, told);
}
