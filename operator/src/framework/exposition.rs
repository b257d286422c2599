//! Figures that are counted when they are asked for, in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Unlike a recorder this keeps nothing: what an object said of itself is gone with the object.

use std::fmt::{Display, Write as _};

/// Families of figures, written one after the other.
#[derive(Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Starts the family of gauges called `name`.
    pub(super) fn family(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} gauge"));
        Family { text: self, name }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("writing to a string cannot fail");
    }
}

/// A family that gets its figures.
pub(super) struct Family<'a> {
    text: &'a mut Exposition,
    name: &'static str,
}

impl Family<'_> {
    /// Adds the figure with these labels.
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        self.text.line(format_args!("{}{{{}}} {value}", self.name, labels.join(",")));
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_help_its_type_and_a_line_per_figure() {
        let mut text = Exposition::default();
        let mut family = text.family("objects", "How many.");
        family.add(&[("kind", "Store"), ("name", "a \"b\"")], 2);
        family.add(&[("kind", "StoreTopic")], 0.5);
        assert_eq!(
            text.into_text(),
            "# HELP objects How many.\n# TYPE objects gauge\nobjects{kind=\"Store\",name=\"a \\\"b\\\"\"} 2\n\
             objects{kind=\"StoreTopic\"} 0.5\n"
        );
    }
}
