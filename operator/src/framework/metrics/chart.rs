//! The chart's alerts and dashboard ask for what this operator says, and each alert has its page.

use std::{collections::BTreeSet, fs, path::PathBuf};

use api::Reason;
use serde_json::Value;

use super::recorded;

const PREFIX: &str = "greencommerce_operator_";
const ALERTS: &str = "charts/greencommerce/files/alerts.yaml";
const DASHBOARD: &str = "charts/greencommerce/files/dashboard.json";

/// What a template has beside labels.
const WORDS_OF_TEMPLATES: [&str; 4] = ["labels", "value", "humanize", "humanizeDuration"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Labels that Prometheus gives every figure: of the Pod it comes from.
const OF_THE_POD: [&str; 6] = ["namespace", "job", "pod", "container", "endpoint", "instance"];

/// What the chart asks Prometheus for: the expression, and the texts that are filled with labels of its result.
struct Question {
    expression: String,
    texts: Vec<String>,
}

fn questions() -> Vec<Question> {
    let alerts: Value = serde_yaml::from_str(&read(ALERTS)).unwrap();
    let rules = list(&alerts["groups"]).flat_map(|group| list(&group["rules"]));
    let of_alerts = rules.map(|rule| Question {
        expression: text(&rule["expr"]),
        texts: rule["annotations"].as_object().unwrap().values().map(text).collect(),
    });
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let targets = list(&dashboard["panels"]).flat_map(|panel| list(&panel["targets"]));
    let of_panels = targets
        .map(|target| Question { expression: text(&target["expr"]), texts: vec![text(&target["legendFormat"])] });
    of_alerts.chain(of_panels).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The words between two marks, wherever they stand.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).map(move |rest| rest.split(close).next().unwrap_or_default())
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect()
}

#[test]
fn every_figure_that_alerts_and_dashboard_ask_for_exists_and_has_the_labels_they_use() {
    let told = recorded::labels();
    let questions = questions();
    assert!(questions.len() > 20, "{} questions", questions.len());
    for Question { expression, texts } in questions {
        let figures: BTreeSet<&str> = words(&expression).into_iter().filter(|word| word.starts_with(PREFIX)).collect();
        assert!(!figures.is_empty(), "{expression} asks for nothing");
        let mut labels = BTreeSet::from(OF_THE_POD);
        for figure in figures {
            let own =
                told.get(figure).unwrap_or_else(|| panic!("{expression} asks for {figure}, which nothing counts"));
            labels.extend(own.iter().map(String::as_str));
            for matchers in between(&expression, &format!("{figure}{{"), '}') {
                for matcher in matchers.split("\",") {
                    let label = matcher.trim().split(['=', '!']).next().unwrap().trim();
                    assert!(
                        own.contains(label) || OF_THE_POD.contains(&label),
                        "{expression} asks for {label} of {figure}, which has {own:?}"
                    );
                }
            }
        }
        let grouped: BTreeSet<&str> = between(&expression, "by (", ')').flat_map(words).collect();
        let unknown: Vec<_> = grouped.difference(&labels).collect();
        assert!(unknown.is_empty(), "{expression} groups by {unknown:?}, which nothing has");
        for text in &texts {
            let shown = between(text, "{{", '}').flat_map(words).filter(|word| !WORDS_OF_TEMPLATES.contains(word));
            let lost: Vec<&str> = shown.filter(|label| !grouped.contains(label)).collect();
            assert!(lost.is_empty(), "{text:?} shows {lost:?}, which {expression} does not keep");
        }
    }
}

#[test]
fn no_figure_has_a_label_that_prometheus_takes_for_the_pod() {
    for (figure, labels) in recorded::labels() {
        let taken: Vec<&String> = labels.iter().filter(|label| OF_THE_POD.contains(&label.as_str())).collect();
        assert!(taken.is_empty(), "{figure} has {taken:?}, which Prometheus would rename");
    }
}

#[test]
fn every_reason_that_alerts_ask_for_is_one_that_objects_give() {
    let alerts = read(ALERTS) + &read(DASHBOARD).replace("\\\"", "\"");
    let mut seen = 0;
    let matchers = ["reason=\"", "reason=~\"", "reason!=\"", "reason!~\""];
    for value in matchers.iter().flat_map(|matcher| between(&alerts, matcher, '"')) {
        for reason in value.split('|') {
            assert!(Reason::parse(reason).is_some(), "{reason} is no reason");
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let rules: Value = serde_yaml::from_str(&read(ALERTS)).unwrap();
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
