//! Takes secrets out of what a report has. Pure.
//!
//! Three nets, one below the other: the values of the Secrets themselves, wherever they stand; the names of fields and
//! variables that hold secrets; and what secrets look like in running text.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use super::{
    keys::{is_public_entry, is_reference, is_secret_field, is_secret_flag, is_secret_variable},
    text::{REDACTED, redacted},
};
use crate::error::Error;

/// Shorter values stand in too many innocent places.
const SHORTEST: usize = 6;
/// Longer values are files that nobody logs.
const LONGEST: usize = 64 * 1024;
/// Repeats everything that was applied, values of variables included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Redacts.
pub(super) struct Redactor {
    /// Finds the values of Secrets.
    known: Option<AhoCorasick>,
}

impl Redactor {
    /// Knows the values of these Secrets.
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, Error> {
        let known: BTreeSet<String> = secrets.iter().flat_map(values).collect();
        if known.is_empty() {
            return Ok(Self { known: None });
        }
        let finder = AhoCorasick::builder()
            // Of two that begin alike the longer one is meant.
            .match_kind(MatchKind::LeftmostLongest)
            // The other kinds take up to gigabytes for a few long values.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(known)
            .map_err(|error| Error::failed(format!("cannot look for the values of Secrets: {error}")))?;
        Ok(Self { known: Some(finder) })
    }

    /// Text for people.
    pub(super) fn text(&self, text: &str) -> String {
        let Some(known) = &self.known else { return redacted(text) };
        let mut clean = String::new();
        known.replace_all_with(text, &mut clean, |_, _, clean| {
            clean.push_str(REDACTED);
            true
        });
        redacted(&clean)
    }

    /// A log: JSON lines field by field, everything else as text.
    pub(super) fn log(&self, log: &str) -> String {
        let mut lines = String::new();
        let mut rest = String::new();
        for line in log.lines() {
            match self.json_line(line) {
                // A secret may go over several lines, so lines of text stay together.
                None => {
                    rest.push_str(line);
                    rest.push('\n');
                }
                Some(line) => {
                    lines.push_str(&self.text(&std::mem::take(&mut rest)));
                    lines.push_str(&line);
                    lines.push('\n');
                }
            }
        }
        lines.push_str(&self.text(&rest));
        lines
    }

    fn json_line(&self, line: &str) -> Option<String> {
        let (before, _) = line.split_once('{')?;
        let mut value: Value = serde_json::from_str(&line[before.len()..]).ok()?;
        self.value(&mut value);
        Some(format!("{}{value}", self.text(before)))
    }

    /// An object, or any other value.
    pub(super) fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.string(text),
            Value::Array(list) => self.list(list),
            Value::Object(map) => self.map(map),
            Value::Number(number) => {
                if self.known.as_ref().is_some_and(|known| known.is_match(&number.to_string())) {
                    *value = Value::from(REDACTED);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// A string may be a document of its own.
    fn string(&self, text: &str) -> String {
        match serde_json::from_str(text) {
            Ok(mut inner @ (Value::Object(_) | Value::Array(_))) => {
                self.value(&mut inner);
                inner.to_string()
            }
            _ => self.text(text),
        }
    }

    /// In a command, the word after `--password` is one.
    fn list(&self, list: &mut [Value]) {
        let mut hidden = false;
        for value in list {
            let hide = std::mem::replace(&mut hidden, value.as_str().is_some_and(is_secret_flag));
            if hide && value.is_string() {
                *value = Value::from(REDACTED);
            } else {
                self.value(value);
            }
        }
    }

    fn map(&self, map: &mut Map<String, Value>) {
        map.remove("managedFields");
        map.remove(LAST_APPLIED);
        if map.get("name").and_then(Value::as_str).is_some_and(is_secret_variable) {
            map.get_mut("value").into_iter().for_each(|value| hide("value", value));
        }
        for (name, value) in map.iter_mut() {
            if is_secret_field(name) {
                hide(name, value);
            }
            self.value(value);
        }
        self.names(map);
    }

    /// A name can be a secret too, such as an address by which something is counted.
    fn names(&self, map: &mut Map<String, Value>) {
        let changed: Vec<(String, String)> =
            map.keys().map(|name| (name.clone(), self.text(name))).filter(|(old, new)| old != new).collect();
        for (old, new) in changed {
            if let Some(value) = map.remove(&old) {
                map.insert(new, value);
            }
        }
    }
}

/// Hides what is written in a field and everything below it, unless it only names a secret: that is looked at by itself.
fn hide(field: &str, value: &mut Value) {
    match value {
        Value::String(_) | Value::Number(_) => *value = Value::from(REDACTED),
        Value::Array(list) => list.iter_mut().for_each(|value| hide(field, value)),
        Value::Object(map) if is_reference(field, map.keys()) => {}
        Value::Object(map) => map.values_mut().for_each(|value| hide("", value)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// What must not be seen of a Secret: each value as a whole, each of its lines, and as the API server writes it.
fn values(secret: &Secret) -> Vec<String> {
    let entries = secret.data.iter().flatten().filter(|(key, _)| !is_public_entry(key));
    let mut found = Vec::new();
    for (_, value) in entries.filter(|(_, value)| value.0.len() <= LONGEST) {
        let text = String::from_utf8_lossy(&value.0);
        found.push(STANDARD.encode(&value.0));
        found.push(text.trim().to_owned());
        found.extend(text.lines().map(|line| line.trim().to_owned()));
    }
    found.retain(|value| value.len() >= SHORTEST && !value.starts_with("-----"));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor(data: &Value) -> Redactor {
        let secret = json!({"metadata": {"name": "s"}, "data": data});
        Redactor::new(&[serde_json::from_value(secret).unwrap()]).unwrap()
    }

    #[test]
    fn the_value_of_a_secret_is_found_wherever_it_stands() {
        // 12345678
        let redactor = redactor(&json!({"pin": "MTIzNDU2Nzg="}));
        let mut value =
            json!({"a": 12_345_678, "b": ["x12345678y"], "12345678": true, "c": "MTIzNDU2Nzg=", "d": 123_456});
        redactor.value(&mut value);
        let expected = json!({"a": REDACTED, "b": ["x<redacted>y"], REDACTED: true, "c": REDACTED, "d": 123_456});
        assert_eq!(value, expected);
    }

    #[test]
    fn where_to_log_in_is_no_secret_and_short_values_are_everywhere() {
        // green-postgres; on
        let redactor = redactor(&json!({"host": "Z3JlZW4tcG9zdGdyZXM=", "switch": "b24="}));
        assert_eq!(redactor.text("connect green-postgres on 5432"), "connect green-postgres on 5432");
    }

    #[test]
    fn the_longer_of_two_values_goes_as_a_whole() {
        // secret-one; secret-one-and-more
        let redactor = redactor(&json!({"a": "c2VjcmV0LW9uZQ==", "b": "c2VjcmV0LW9uZS1hbmQtbW9yZQ=="}));
        assert_eq!(redactor.text("x secret-one-and-more y"), "x <redacted> y");
    }

    #[test]
    fn everything_below_a_secret_s_name_goes_but_what_only_names_a_secret() {
        let mut value = json!({
            "credentials": {
                "user": "ada", "pass": "x", "more": [{"login": "y"}], "tries": 3, "on": true, "secret": {"name": "z"},
            },
            "pass": "hunter2",
            "volumes": [{"secret": {"secretName": "keys", "items": [{"key": "signing", "path": "key.pem"}]}}],
            "sources": [{"secret": {"name": "keys"}}, {"serviceAccountToken": {"path": "token", "audience": "x"}}],
            "imagePullSecrets": [{"name": "registry"}],
        });
        let kept = ["volumes", "sources", "imagePullSecrets"].map(|field| value[field].clone());
        Redactor::new(&[]).unwrap().value(&mut value);
        let hidden = json!({
            "user": REDACTED, "pass": REDACTED, "more": [{"login": REDACTED}], "tries": REDACTED, "on": true,
            "secret": {"name": REDACTED},
        });
        assert_eq!((&value["credentials"], &value["pass"]), (&hidden, &json!(REDACTED)));
        assert_eq!(["volumes", "sources", "imagePullSecrets"].map(|field| value[field].clone()), kept);
    }

    #[test]
    fn many_long_values_are_looked_for_and_the_rest_stays() {
        let long = |n: usize| format!("{n:05}-").repeat(1000);
        let data: Map<String, Value> =
            (0..300).map(|n| (format!("file-{n}"), json!(STANDARD.encode(long(n))))).collect();
        let redactor = redactor(&Value::Object(data));
        assert_eq!(redactor.text(&format!("found {} here", long(7))), "found <redacted> here");
        assert_eq!(redactor.text("nothing is wrong"), "nothing is wrong");
    }

    #[test]
    fn a_key_that_goes_over_several_lines_of_a_log_goes_as_a_whole() {
        let log = "{\"level\":\"INFO\"}\nkey: -----BEGIN PRIVATE KEY-----\nabcdefgh\n-----END PRIVATE KEY-----\n{\"level\":\"WARN\"}\n";
        let clean = Redactor::new(&[]).unwrap().log(log);
        assert_eq!(clean, "{\"level\":\"INFO\"}\nkey: <redacted>\n{\"level\":\"WARN\"}\n");
    }
}
