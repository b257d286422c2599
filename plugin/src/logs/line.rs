//! One line of a log. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The time that the API server puts before a line, and the line.
pub(super) fn stamped(line: &str) -> (Option<Timestamp>, &str) {
    match line.split_once(' ') {
        Some((time, text)) => match time.parse() {
            Ok(time) => (Some(time), text),
            Err(_) => (None, line),
        },
        None => (line.parse().ok(), if line.parse::<Timestamp>().is_ok() { "" } else { line }),
    }
}

/// A JSON line as time, level, message and fields; any other line, and every line if `raw`, as it is.
pub(super) fn shown(line: &str, raw: bool) -> String {
    match serde_json::from_str(line) {
        Ok(Value::Object(fields)) if !raw => readable(fields),
        _ => line.to_owned(),
    }
}

fn readable(mut fields: Map<String, Value>) -> String {
    let mut take = |name: &str| fields.remove(name).map(|value| plain(&value)).unwrap_or_default();
    let (time, level, message) = (take("timestamp"), take("level"), take("message"));
    // The module that wrote the line means little to who runs the shop.
    take("target");
    let mut words = vec![time, format!("{level:<5}"), message];
    words.extend(fields.iter().flat_map(|(name, value)| pairs(name, value)));
    words.retain(|word| !word.trim().is_empty());
    words.join(" ")
}

/// `name=value`; for the span in which the line was written, its fields.
fn pairs(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(inner) if name == "span" => {
            inner.iter().filter(|(name, _)| *name != "name").flat_map(|(name, value)| pairs(name, value)).collect()
        }
        _ => {
            let text = plain(value);
            let quoted = text.is_empty() || text.contains(char::is_whitespace);
            vec![if quoted { format!("{name}={text:?}") } else { format!("{name}={text}") }]
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether the line tells of an error: by its level, by the words that servers use for it, or as programs end with one.
pub(super) fn is_error(line: &str) -> bool {
    if let Ok(Value::Object(fields)) = serde_json::from_str(line) {
        let level = fields.get("level").and_then(Value::as_str).unwrap_or_default();
        return matches!(level.to_ascii_uppercase().as_str(), "ERROR" | "FATAL" | "CRITICAL" | "PANIC");
    }
    if line.trim_start().get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("error:")) {
        return true;
    }
    let words = line.split(|c: char| !c.is_alphanumeric());
    words.into_iter().any(|word| matches!(word, "ERROR" | "FATAL" | "PANIC" | "CRITICAL" | "panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_is_shown_as_time_level_message_and_fields() {
        let line = r#"{"timestamp":"2026-01-01T00:00:00.5Z","level":"INFO","message":"order placed","order":"A 1",
            "lines":2,"target":"orders::http","span":{"name":"request","request_id":"r-1"}}"#;
        assert_eq!(
            shown(line, false),
            r#"2026-01-01T00:00:00.5Z INFO  order placed lines=2 order="A 1" request_id=r-1"#
        );
        assert_eq!(shown(line, true), line);
    }

    #[test]
    fn what_is_no_json_object_is_shown_as_it_is() {
        for line in ["LOG:  checkpoint starting", "[1,2]", "7", "{broken", ""] {
            assert_eq!(shown(line, false), line);
        }
    }

    #[test]
    fn errors_are_told_by_level_or_word() {
        for line in [
            r#"{"level":"ERROR","message":"x"}"#,
            r#"{"level":"error"}"#,
            "2026-01-01 00:00:00 UTC [7] FATAL:  password authentication failed",
            "[2026-01-01] ERROR Shutdown broker (kafka.server)",
            "thread 'main' panicked at src/main.rs:1:1",
            "error: cannot start: no route to the broker",
            "Error: invalid value 'x' for '--drain'",
            "  error: refused",
        ] {
            assert!(is_error(line), "{line}");
        }
        for line in
            [r#"{"level":"INFO","message":"ERROR in the text"}"#, "TERRORS of the deep", "no error", "terror: none"]
        {
            assert!(!is_error(line), "{line}");
        }
    }

    #[test]
    fn the_time_that_the_api_server_adds_is_taken_off() {
        let (time, text) = stamped("2026-01-01T00:00:00.123456789Z hello there");
        assert_eq!(
            (time.map(|time| time.to_string()), text),
            (Some("2026-01-01T00:00:00.123456789Z".to_owned()), "hello there")
        );
        assert_eq!(stamped("hello there"), (None, "hello there"));
        assert_eq!(stamped("2026-01-01T00:00:00Z").1, "");
    }
}
