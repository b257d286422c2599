//! The chart's alerts and dashboard ask for what this operator says, and each alert has its page.

use std::{collections::BTreeSet, fs, path::PathBuf};

use api::Reason;
use serde_json::Value;

use super::{DURATION, NAMES};

const PREFIX: &str = "greencommerce_operator_";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn every_figure_that_alerts_and_dashboard_ask_for_exists() {
    let derived: BTreeSet<String> = ["_bucket", "_sum", "_count"].map(|end| format!("{DURATION}{end}")).into();
    for path in ["charts/greencommerce/files/alerts.yaml", "charts/greencommerce/files/dashboard.json"] {
        let text = read(path);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: BTreeSet<&str> = words.filter(|word| word.starts_with(PREFIX)).collect();
        assert!(names.len() > 5, "{path} asks for {names:?}");
        for name in names {
            assert!(NAMES.contains(&name) || derived.contains(name), "{path} asks for {name}, which nothing counts");
        }
    }
}

#[test]
fn every_reason_that_alerts_ask_for_is_one_that_objects_give() {
    let alerts = read("charts/greencommerce/files/alerts.yaml");
    let mut seen = 0;
    for matcher in alerts.split("reason=").skip(1) {
        let value = matcher.trim_start_matches(['~', '"']).split('"').next().unwrap();
        for reason in value.split('|') {
            assert!(Reason::parse(reason).is_some(), "{reason} is no reason");
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let rules: Value = serde_yaml::from_str(&read("charts/greencommerce/files/alerts.yaml")).unwrap();
    let rules = rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let mut alerts = BTreeSet::new();
    for rule in rules.filter(|rule| rule["alert"].is_string()) {
        let name = rule["alert"].as_str().unwrap().to_owned();
        assert_eq!(rule["annotations"]["runbook_url"], format!("RUNBOOKS/{name}.md"));
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].is_string(), "{name} has no {text}");
        }
        assert!(rule["labels"]["severity"].is_string(), "{name} has no severity");
        alerts.insert(name);
    }
    let pages = fs::read_dir(root().join("docs/runbooks")).unwrap();
    let pages: BTreeSet<String> =
        pages.map(|page| page.unwrap().file_name().to_string_lossy().trim_end_matches(".md").to_owned()).collect();
    assert_eq!(alerts, pages);
    for page in pages {
        let text = read(&format!("docs/runbooks/{page}.md"));
        for section in [
            "# ".to_owned() + &page,
            "## Meaning".into(),
            "## Impact".into(),
            "## How to look".into(),
            "## How to mend".into(),
        ] {
            assert!(text.lines().any(|line| line == section), "{page} has no line {section:?}");
        }
    }
}
