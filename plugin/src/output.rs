//! Standard output and standard error.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;

use crate::error::Error;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// Prints lines.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Prints a value as JSON or YAML, or, for people, what `table` makes of it.
pub(crate) fn print_as<T: Serialize>(format: Format, value: &T, table: impl FnOnce(&T) -> String) -> Result<(), Error> {
    let unwritable = |error: &dyn std::fmt::Display| Error::failed(format!("cannot write the result: {error}"));
    match format {
        Format::Table => print(&table(value)),
        Format::Json => print(&serde_json::to_string_pretty(value).map_err(|error| unwritable(&error))?),
        Format::Yaml => print(&serde_yaml::to_string(value).map_err(|error| unwritable(&error))?),
    }
}

/// Writes a line to standard error, where it is possible.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Asks a question on the terminal; without one there is nobody to ask.
pub(crate) fn confirm(question: &str) -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::usage("there is no terminal to ask on: pass --yes to go ahead"));
    }
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
