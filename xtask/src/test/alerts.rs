//! The chart's alerts and dashboard: Prometheus understands every expression, and each alert fires when it should and not
//! otherwise.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{ui::Step, workspace};

const ALERTS: &str = "charts/greencommerce/files/alerts.yaml";
const DASHBOARD: &str = "charts/greencommerce/files/dashboard.json";

/// Series, and which alerts they raise (<https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>).
const SERIES: &str = include_str!("alerts.yaml");

/// Names of a release, which the chart writes into its alerts.
const RELEASE: [(&str, &str); 2] =
    [("OPERATOR_NAMESPACE", "greencommerce-system"), ("OPERATOR_NAME", "greencommerce-operator")];

/// Labels that Prometheus gives to the figures of that release, and of another, as its `PodMonitor` says.
const TARGETS: [(&str, &str); 2] = [
    ("OPERATOR", r#"namespace="greencommerce-system", job="greencommerce-system/greencommerce-operator""#),
    ("NEIGHBOUR", r#"namespace="mall-system", job="mall-system/greencommerce-operator""#),
];

/// Checks rules and dashboard with `promtool`, and runs the tests of the rules.
pub(super) fn check(step: &Step) -> Result<()> {
    let scratch = workspace::root().join("target/test/alerts");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let expressions = expressions(&serde_json::from_str(&read(DASHBOARD)?).context("the dashboard is not JSON")?);
    ensure!(!expressions.is_empty(), "the dashboard shows nothing");
    write(&scratch.join("alerts.yaml"), &with(&read(ALERTS)?, &RELEASE))?;
    write(&scratch.join("dashboard.yaml"), &as_rules(&expressions).to_string())?;
    write(&scratch.join("test.yaml"), &with(SERIES, &TARGETS))?;
    let promtool = || step.command("promtool").directory(&scratch).hint("Debian's package prometheus has promtool");
    promtool().args(["check", "rules", "alerts.yaml", "dashboard.yaml"]).run()?;
    promtool().args(["test", "rules", "test.yaml"]).run()?;
    step.note(format!("{} panels", expressions.len()));
    Ok(())
}

/// A text in which words stand for others.
fn with(text: &str, words: &[(&str, &str)]) -> String {
    words.iter().fold(text.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
}

/// What the panels of a dashboard ask for.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.filter_map(|target| target["expr"].as_str()).map(str::to_owned).collect()
}

/// A file of rules with these expressions, so that they are checked like rules.
fn as_rules(expressions: &[String]) -> Value {
    let rule = |(at, expression)| json!({"record": format!("panel:{at}"), "expr": expression});
    let rules: Vec<Value> = expressions.iter().enumerate().map(rule).collect();
    json!({"groups": [{"name": "dashboard", "rules": rules}]})
}

fn read(path: &str) -> Result<String> {
    let path: PathBuf = workspace::root().join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
        let rules: Value = serde_yaml::from_str(&read(ALERTS).unwrap()).unwrap();
        let rules = rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
        let alerts: BTreeSet<&str> = rules.filter_map(|rule| rule["alert"].as_str()).collect();
        let tests: Value = serde_yaml::from_str(SERIES).unwrap();
        let mut fire = BTreeSet::new();
        let mut rest = BTreeSet::new();
        for test in
            tests["tests"].as_array().unwrap().iter().flat_map(|test| test["promql_expr_test"].as_array().unwrap())
        {
            let expression = test["expr"].as_str().unwrap();
            let name = expression.split('"').nth(1).unwrap();
            if test["exp_samples"].is_null() {
                rest.insert(name)
            } else {
                fire.insert(name)
            };
        }
        assert_eq!(fire, alerts);
        assert_eq!(rest, alerts);
    }

    #[test]
    fn the_panels_of_the_dashboard_become_rules() {
        let dashboard = json!({"panels": [{"targets": [{"expr": "a"}, {"expr": "b"}]}, {"type": "text"}]});
        let rules = as_rules(&expressions(&dashboard));
        assert_eq!(rules["groups"][0]["rules"][1], json!({"record": "panel:1", "expr": "b"}));
    }
}
