//! What a namespace holds, without what differs from run to run: two runs that ended alike have equal states.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Fields of an object's metadata that the API server fills in.
const CHANCE: [&str; 6] =
    ["uid", "resourceVersion", "creationTimestamp", "managedFields", "deletionGracePeriodSeconds", "selfLink"];

/// The objects of a namespace by `kind/name`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State(BTreeMap<String, Value>);

impl State {
    /// The state made of these objects of `namespace`.
    pub(crate) fn of(namespace: &str, objects: impl IntoIterator<Item = Value>) -> Self {
        let objects = objects.into_iter().map(|object| {
            let name = anywhere(namespace, text(&object["metadata"]["name"]));
            (format!("{}/{name}", text(&object["kind"])), normal(namespace, object))
        });
        Self(objects.collect())
    }

    /// The names of the objects, as `kind/name`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An object by `kind/name`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The same, however often an object was changed on the way.
    #[must_use]
    pub fn without_generations(&self) -> Self {
        let mut objects = self.0.clone();
        for object in objects.values_mut() {
            for (part, field) in [("metadata", "generation"), ("status", "observedGeneration")] {
                if let Some(part) = object.get_mut(part).and_then(Value::as_object_mut) {
                    part.remove(field);
                }
            }
        }
        Self(objects)
    }

    /// The same with `PORT` for a port that differs from run to run.
    pub(crate) fn without_port(mut self, port: u16) -> Self {
        for object in self.0.values_mut() {
            hide(&port.to_string(), object);
        }
        self
    }

    /// The same without these fields, wherever they stand.
    #[must_use]
    pub fn without(&self, fields: &[&str]) -> Self {
        let mut objects = self.0.clone();
        for object in objects.values_mut() {
            remove(fields, object);
        }
        Self(objects)
    }

    /// The same with only the first items of lists of this name, wherever they stand: of a history, the present.
    #[must_use]
    pub fn with_first_of(&self, list: &str, items: usize) -> Self {
        let mut objects = self.0.clone();
        for object in objects.values_mut() {
            shorten(list, items, object);
        }
        Self(objects)
    }

    /// What differs, a line each: `kind/name` with the path of the field, what was expected and what is there.
    #[must_use]
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let keys: std::collections::BTreeSet<&String> = self.0.keys().chain(expected.0.keys()).collect();
        for key in keys {
            let of = |state: &Self| state.0.get(key).cloned().unwrap_or(Value::Null);
            compare(key, &of(expected), &of(self), &mut found);
        }
        found
    }
}

fn compare(path: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}.{key}"), &of(one), &of(other), lines);
            }
        }
        _ if expected == found => {}
        _ => lines.push(format!("{path}: {expected} expected, {found} found")),
    }
}

fn normal(namespace: &str, mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| !CHANCE.contains(&key.as_str()));
    }
    if object["kind"] == "Secret" {
        for (_, value) in object["data"].as_object_mut().into_iter().flatten() {
            *value = json!("secret");
        }
    }
    // The API server chooses addresses.
    if object["kind"] == "Service" {
        let headless = object["spec"]["clusterIP"] == "None";
        if let Some(spec) = object["spec"].as_object_mut().filter(|_| !headless) {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
    }
    scrub(namespace, "", &mut object);
    object
}

fn remove(fields: &[&str], value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !fields.contains(&key.as_str()));
            map.values_mut().for_each(|value| remove(fields, value));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| remove(fields, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn shorten(list: &str, items: usize, value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Array(found)) = map.get_mut(list) {
                found.truncate(items);
            }
            map.values_mut().for_each(|value| shorten(list, items, value));
        }
        Value::Array(all) => all.iter_mut().for_each(|value| shorten(list, items, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn hide(port: &str, value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| hide(port, value)),
        Value::Array(list) => list.iter_mut().for_each(|value| hide(port, value)),
        Value::String(held) => *held = held.replace(port, "PORT"),
        Value::Number(held) if held.to_string() == port => *value = json!("PORT"),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes out names of the namespace, times, uids and hashes.
fn scrub(namespace: &str, key: &str, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                scrub(namespace, key, value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| scrub(namespace, key, value)),
        Value::String(held) if key.ends_with("uid") || key == "identity" || is_hash(key) || is_time(held) => {
            key.clone_into(held);
        }
        Value::String(held) => *held = without_ids(&anywhere(namespace, held)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text as it would be in any namespace.
pub(crate) fn anywhere(namespace: &str, text: &str) -> String {
    of_any_database(&text.replace(namespace, "NAMESPACE").replace(&namespace.replace('-', "_"), "NAMESPACE"))
}

/// The name of a migration ends in ten digits: six tell the image and its settings, four the database, which is another one
/// in each run.
fn of_any_database(text: &str) -> String {
    let mut parts = text.split("-migrate-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |before, part| {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let part = if digits >= 10 { format!("{}NNNN{}", &part[..6], &part[10..]) } else { part.to_owned() };
        format!("{before}-migrate-{part}")
    })
}

/// Annotations and labels that hold the hash of something that holds a uid or a password, or tells a database.
fn is_hash(key: &str) -> bool {
    let of_ours = key.strip_prefix("greencommerce.dev/");
    of_ours.is_some_and(|name| matches!(name, "applied" | "config" | "secrets" | "image"))
}

/// Words that are 16 bytes in URL-safe Base64, as the id of a Kafka cluster is, come from uids.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| {
        let kinds = [|c: char| c.is_ascii_uppercase(), |c: char| c.is_ascii_lowercase()];
        word.len() == 22
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            && kinds.iter().all(|kind| word.chars().any(kind))
    };
    text.split(' ').map(|word| if is_id(word) { "ID" } else { word }).collect::<Vec<_>>().join(" ")
}

/// `2026-01-01T…`
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().take(11).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T"
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(namespace: &str, address: &str, port: u32) -> Value {
        json!({
            "kind": "Service",
            "metadata": {
                "name": "x", "namespace": namespace, "uid": namespace, "generation": 1,
                "ownerReferences": [{"name": "x", "uid": address}], "annotations": {"greencommerce.dev/applied": address},
            },
            "spec": {
                "clusterIP": address, "ports": [{"port": port}], "host": format!("x.{namespace}.svc"),
                "command": format!("format -t NUhd5zUDzs6kVOz0QHNUD{} now", &address[address.len() - 1..]),
            },
            "status": {"since": "2026-01-01T00:00:00Z"},
        })
    }

    #[test]
    fn two_runs_that_ended_alike_are_equal() {
        let one = State::of("test-1-1", [service("test-1-1", "10.96.0.1", 80)]);
        let other = State::of("test-1-2", [service("test-1-2", "10.96.0.2", 80)]);
        assert_eq!(one.differences(&other), Vec::<String>::new());
        assert_eq!(one, other);
    }

    #[test]
    fn a_migration_has_one_name_whichever_database_it_is_for() {
        let name = |name: &str| anywhere("test-1", name);
        assert_eq!(name("test-1-migrate-012345abcd"), name("test-1-migrate-0123456789"));
        assert_eq!(name("jobs/shop-auth-migrate-0123456789-x7"), "jobs/shop-auth-migrate-012345NNNN-x7");
        assert_ne!(name("shop-auth-migrate-0123456789"), name("shop-auth-migrate-1123456789"));
        assert_eq!(name("shop-migrate"), "shop-migrate");
    }

    #[test]
    fn of_a_list_that_grows_the_first_items_can_be_kept() {
        let of = |history: &Value| {
            let object = json!({"kind": "X", "metadata": {"name": "x"}, "status": {"history": history}});
            State::of("test-1", [object]).with_first_of("history", 2)
        };
        assert_eq!(of(&json!([3, 2, 1])), of(&json!([3, 2])));
        assert_ne!(of(&json!([3, 2, 1])), of(&json!([2, 1])));
    }

    #[test]
    fn a_port_that_differs_from_run_to_run_can_be_taken_out() {
        let of = |port: u16| {
            let object = json!({"kind": "X", "metadata": {"name": "x"}, "port": port, "message": format!("at {port}")});
            State::of("test-1", [object]).without_port(port)
        };
        assert_eq!(of(25700), of(25720));
        assert_eq!(of(25700).get("X/x").unwrap()["message"], "at PORT");
    }

    #[test]
    fn fields_that_count_can_be_taken_out_at_any_depth() {
        let of = |generation: u32| {
            let conditions = json!([{"type": "Ready", "observedGeneration": generation}]);
            let metadata = json!({"name": "x", "generation": generation});
            State::of("a", [json!({"kind": "X", "metadata": metadata, "status": {"conditions": conditions}})])
        };
        assert_ne!(of(1), of(2));
        let fields = ["generation", "observedGeneration"];
        assert_eq!(of(1).without(&fields), of(2).without(&fields));
    }

    #[test]
    fn what_differs_is_told_with_its_path() {
        let one = State::of("a", [service("a", "1", 80)]);
        let other = State::of("a", [service("a", "1", 81)]);
        let differences = other.differences(&one);
        assert_eq!(differences, [r#"Service/x.spec.ports: [{"port":80}] expected, [{"port":81}] found"#]);
        assert_eq!(State::default().differences(&one).len(), 1);
    }
}
