//! Standard output and standard error.

use std::{
    io::{IsTerminal as _, Write},
    time::Duration,
};

use clap::ValueEnum;
use serde::Serialize;

use crate::{duration::show, error::Error};

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
    let mut out = out();
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
    let _ = writeln!(err(), "{line}");
}

/// Says how far something is, on standard error: what it ends with may be read by a program.
pub(crate) fn progress(since: Duration, text: &str) {
    complain(&format!("{:>6}  {text}", show(since)));
}

/// Asks a question on the terminal; without one there is nobody to ask.
pub(crate) fn confirm(question: &str) -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::usage("there is no terminal to ask on: pass --yes to go ahead"));
    }
    let mut err = err();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(not(test))]
fn out() -> impl Write {
    std::io::stdout().lock()
}

#[cfg(not(test))]
fn err() -> impl Write {
    std::io::stderr().lock()
}

#[cfg(test)]
use self::captured::{err, out};

/// What the test of this thread has printed.
#[cfg(test)]
pub(crate) mod captured {
    use std::{cell::RefCell, io::Write, thread::LocalKey};

    thread_local! {
        static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        static ERR: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    struct Sink(&'static LocalKey<RefCell<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.with_borrow_mut(|held| held.write(bytes))
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    pub(super) fn out() -> impl Write {
        Sink(&OUT)
    }

    pub(super) fn err() -> impl Write {
        Sink(&ERR)
    }

    /// Takes what was printed on standard output.
    pub(crate) fn printed() -> String {
        String::from_utf8(OUT.take()).unwrap()
    }

    /// Takes what was printed on standard error.
    pub(crate) fn complained() -> String {
        String::from_utf8(ERR.take()).unwrap()
    }
}
