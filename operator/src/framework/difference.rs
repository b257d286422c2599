//! Whether a live object already holds what is wanted.

use serde_json::{Map, Value};

/// Keys by which Kubernetes merges lists of objects, the first that all elements have.
const MERGE_KEYS: [&str; 9] = ["name", "type", "mountPath", "containerPort", "port", "uid", "topologyKey", "key", "ip"];

/// Maps that Kubernetes gives to one owner as a whole (`x-kubernetes-map-type: atomic`): an entry that somebody adds is a
/// change of ours.
const ATOMIC: [&str; 3] = ["selector", "labelSelector", "nodeSelector"];

/// Whether every field of `desired` is in `live` with the same value.
///
/// Fields that only `live` has are someone else's: defaults of the API server, the status, foreign annotations.
/// Quantities are compared by amount, and an empty value equals a missing one, as the API server drops it.
pub(crate) fn holds(live: &Value, desired: &Value) -> bool {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => desired.iter().all(|(key, wanted)| match live.get(key) {
            Some(held) if ATOMIC.contains(&key.as_str()) => held == wanted,
            Some(held) => holds(held, wanted) || (is_amount_parent(key) && same_amounts(held, wanted)),
            None => is_empty(wanted),
        }),
        (Value::Array(desired), Value::Array(live)) => holds_list(live, desired),
        _ => desired == live,
    }
}

fn holds_list(live: &[Value], desired: &[Value]) -> bool {
    if let Some(key) = merge_key(desired) {
        return desired
            .iter()
            .all(|wanted| live.iter().any(|held| held.get(key) == wanted.get(key) && holds(held, wanted)));
    }
    live.len() == desired.len() && desired.iter().zip(live).all(|(wanted, held)| holds(held, wanted))
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
