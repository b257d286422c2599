//! Whether a live object already holds what is wanted, and where it does not.

use serde_json::{Map, Value};

/// Keys by which Kubernetes merges lists of objects, the first that all elements have.
const MERGE_KEYS: [&str; 8] = ["name", "type", "mountPath", "containerPort", "uid", "topologyKey", "key", "ip"];

/// Maps that Kubernetes gives to one owner as a whole (`x-kubernetes-map-type: atomic`): an entry that somebody adds is a
/// change of ours.
const ATOMIC: [&str; 5] = ["selector", "labelSelector", "nodeSelector", "podSelector", "namespaceSelector"];

/// Where `live` first lacks a field of `desired`, or has another value in it: `spec.replicas`; `None` if it holds them all.
///
/// Fields that only `live` has are someone else's: defaults of the API server, the status, foreign annotations.
/// Quantities are compared by amount, and an empty value equals a missing one, as the API server drops it.
pub(crate) fn first(live: &Value, desired: &Value) -> Option<String> {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => telling_first(desired)
            .find_map(|(key, wanted)| in_field(key, live.get(key), wanted).map(|below| join(key, &below))),
        (Value::Array(desired), Value::Array(live)) => in_list(live, desired),
        _ => (desired != live).then(String::new),
    }
}

/// The fields of an object, metadata last: it differs whenever anything does, as it carries a hash of all.
fn telling_first(fields: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let is_last = |key: &String| key == "metadata" || key == "annotations";
    let last = fields.iter().filter(move |(key, _)| is_last(key));
    fields.iter().filter(move |(key, _)| !is_last(key)).chain(last)
}

fn in_field(key: &str, held: Option<&Value>, wanted: &Value) -> Option<String> {
    match held {
        Some(held) if ATOMIC.contains(&key) => (held != wanted).then(String::new),
        Some(held) => first(held, wanted).filter(|_| !(is_amount_parent(key) && same_amounts(held, wanted))),
        None => (!is_empty(wanted)).then(String::new),
    }
}

fn in_list(live: &[Value], desired: &[Value]) -> Option<String> {
    let Some(key) = merge_key(desired) else {
        if live.len() != desired.len() {
            return Some(String::new());
        }
        let mut pairs = desired.iter().zip(live).enumerate();
        return pairs
            .find_map(|(at, (wanted, held))| first(held, wanted).map(|below| join(&format!("[{at}]"), &below)));
    };
    desired.iter().find_map(|wanted| {
        let mut found = live.iter().filter(|held| held.get(key) == wanted.get(key)).map(|held| first(held, wanted));
        let difference = found.next().unwrap_or_else(|| Some(String::new()))?;
        if found.any(|other| other.is_none()) {
            return None;
        }
        let name = &wanted[key];
        let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        Some(join(&format!("[{key}={name}]"), &difference))
    })
}

fn join(key: &str, below: &str) -> String {
    let dot = if below.is_empty() || below.starts_with('[') { "" } else { "." };
    format!("{key}{dot}{below}")
}

fn merge_key(list: &[Value]) -> Option<&'static str> {
    if list.is_empty() {
        return None;
    }
    MERGE_KEYS.into_iter().find(|key| list.iter().all(|element| element.get(key).is_some()))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_amount_parent(key: &str) -> bool {
    matches!(key, "requests" | "limits" | "sizeLimit" | "target" | "tolerance")
}

fn same_amounts(live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => same_amount_maps(live, desired),
        (Value::String(live), Value::String(desired)) => same_amount(live, desired),
        _ => false,
    }
}

fn same_amount_maps(live: &Map<String, Value>, desired: &Map<String, Value>) -> bool {
    desired.iter().all(|(key, wanted)| match (live.get(key), wanted) {
        (Some(Value::String(held)), Value::String(wanted)) => same_amount(held, wanted),
        _ => false,
    })
}

fn same_amount(one: &str, other: &str) -> bool {
    one == other || matches!((nanos(one), nanos(other)), (Some(one), Some(other)) if one == other)
}

/// A quantity in billionths, or `None` if it is not one or is too large to tell.
fn nanos(quantity: &str) -> Option<i128> {
    let digits = quantity.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let scaled: i128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    let (numerator, denominator) = factor(suffix)?;
    let product = scaled.checked_mul(numerator)?;
    (product % denominator == 0).then_some(product / denominator)
}

fn factor(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "" => (1, 1),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(live: &Value, desired: &Value) -> bool {
        first(live, desired).is_none()
    }

    #[test]
    fn the_first_difference_is_named_and_the_hash_of_all_only_when_nothing_else_differs() {
        let live = json!({
            "metadata": {"annotations": {"applied": "1"}},
            "spec": {"replicas": 1, "containers": [{"name": "cart", "image": "a"}], "args": ["x", "y"]},
        });
        let differs = |desired: Value| first(&live, &desired);
        let applied = json!({"annotations": {"applied": "2"}});
        assert_eq!(differs(json!({"metadata": applied})).as_deref(), Some("metadata.annotations.applied"));
        let spec = json!({"metadata": applied, "spec": {"replicas": 2}});
        assert_eq!(differs(spec).as_deref(), Some("spec.replicas"));
        let image = json!({"spec": {"containers": [{"name": "cart", "image": "b"}]}});
        assert_eq!(differs(image).as_deref(), Some("spec.containers[name=cart].image"));
        let another = json!({"spec": {"containers": [{"name": "sidecar"}]}});
        assert_eq!(differs(another).as_deref(), Some("spec.containers[name=sidecar]"));
        assert_eq!(differs(json!({"spec": {"args": ["x", "z"]}})).as_deref(), Some("spec.args[1]"));
        assert_eq!(differs(json!({"spec": {"args": ["x", "y"]}})), None);
    }

    #[test]
    fn fields_of_others_are_left_alone() {
        let live = json!({"metadata": {"annotations": {"a": "1", "kubectl.kubernetes.io/restartedAt": "now"}}, "status": {"x": 1}});
        assert!(holds(&live, &json!({"metadata": {"annotations": {"a": "1"}}})));
        assert!(!holds(&live, &json!({"metadata": {"annotations": {"a": "2"}}})));
    }

    #[test]
    fn an_entry_that_somebody_adds_to_a_selector_is_a_difference() {
        let desired = json!({"spec": {"selector": {"service": "cart"}}});
        assert!(holds(&json!({"spec": {"selector": {"service": "cart"}, "type": "ClusterIP"}}), &desired));
        assert!(!holds(&json!({"spec": {"selector": {"service": "cart", "name": "nobody"}}}), &desired));
    }

    #[test]
    fn whatever_somebody_adds_to_a_network_policy_is_a_difference() {
        let desired =
            json!({"podSelector": {"matchLabels": {"a": "1"}}, "egress": [], "ingress": [{"ports": [{"port": 80}]}]});
        let live = json!({"podSelector": {"matchLabels": {"a": "1"}}, "ingress": [{"ports": [{"port": 80}]}]});
        assert!(holds(&live, &desired));
        let selector = json!({"matchLabels": {"a": "1", "b": "2"}});
        for (field, edit) in [
            ("podSelector", selector),
            ("egress", json!([{}])),
            ("ingress", json!([{"ports": [{"port": 80}, {"port": 81}]}])),
            ("ingress", json!([{"ports": [{"port": 80}]}, {}])),
        ] {
            let mut edited = live.clone();
            edited[field] = edit;
            assert!(!holds(&edited, &desired), "{edited}");
        }
    }

    #[test]
    fn amounts_are_compared_by_amount() {
        let live = json!({"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}});
        assert!(holds(&live, &json!({"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}}})));
        assert!(!holds(&live, &json!({"resources": {"requests": {"cpu": "1001m", "memory": "1Gi"}}})));
        assert!(holds(&json!({"sizeLimit": "1Gi"}), &json!({"sizeLimit": "1024Mi"})));
        assert!(!holds(&json!({"image": "1"}), &json!({"image": "1000m"})));
        let target = |amount: &str| json!({"target": {"type": "AverageValue", "averageValue": amount}});
        assert!(holds(&target("1"), &target("1000m")));
        assert!(!holds(&target("1"), &target("2")));
    }

    #[test]
    fn named_lists_are_compared_by_name_and_others_by_position() {
        let live = json!({"containers": [{"name": "injected"}, {"name": "service", "image": "a"}], "args": ["x", "y"]});
        assert!(holds(&live, &json!({"containers": [{"name": "service", "image": "a"}], "args": ["x", "y"]})));
        assert!(!holds(&live, &json!({"containers": [{"name": "service", "image": "b"}]})));
        assert!(!holds(&live, &json!({"args": ["y", "x"]})));
        assert!(!holds(&live, &json!({"args": ["x"]})));
    }

    #[test]
    fn a_missing_field_differs_unless_it_is_wanted_empty() {
        assert!(holds(&json!({}), &json!({"value": "", "labels": {}, "list": []})));
        assert!(!holds(&json!({}), &json!({"paused": false})));
        assert!(!holds(&json!({}), &json!({"replicas": 0})));
    }

    #[test]
    fn quantities_of_every_notation_are_read() {
        for (one, other) in [("0.5", "500m"), ("1.5Gi", "1536Mi"), ("1k", "1000"), ("2", "2000000000n")] {
            assert!(same_amount(one, other), "{one} {other}");
        }
        for (one, other) in [("1Gi", "1G"), ("x", "y"), ("1", "1Zi"), ("", "0")] {
            assert!(!same_amount(one, other), "{one} {other}");
        }
    }
}
