//! Progress: what runs now and for how long, what failed and what to do about it, and where the time went.

use std::{
    fmt::Write as _,
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::command::Cmd;

/// A run of several steps. Each has a log file of its own in one folder; together they make the timing table.
pub(crate) struct Ui {
    logs: PathBuf,
    terminal: bool,
    started: Instant,
    timings: Mutex<Vec<Timing>>,
}

struct Timing {
    title: String,
    took: Duration,
    note: String,
}

impl Ui {
    /// Creates the folder of log files.
    pub(crate) fn new(logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs).with_context(|| format!("cannot create {}", logs.display()))?;
        Ok(Self {
            logs: logs.to_path_buf(),
            terminal: std::io::stdout().is_terminal(),
            started: Instant::now(),
            timings: Mutex::default(),
        })
    }

    /// Runs one step: a spinner with the elapsed time on a terminal, plain lines otherwise. Its log file starts empty.
    pub(crate) fn step<T>(&self, title: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
        let step = Step::start(title, &self.logs, self.terminal)?;
        let result = work(&step);
        let (took, note) = step.finish(result.is_ok());
        lock(&self.timings).push(Timing { title: title.to_owned(), took, note });
        result.with_context(|| format!("step \"{title}\" failed after {}", elapsed(took)))
    }

    /// One line per step with its time, and the total.
    pub(crate) fn timings(&self) -> String {
        let timings = lock(&self.timings);
        let width = timings.iter().map(|row| row.title.chars().count()).max().unwrap_or(0).max(5);
        let mut table = String::new();
        for Timing { title, took, note } in timings.iter() {
            let row = format!("  {title:<width$}  {:>9}  {note}", elapsed(*took));
            table.push_str(row.trim_end());
            table.push('\n');
        }
        let _ = write!(table, "  {:<width$}  {:>9}", "total", elapsed(self.started.elapsed()));
        table
    }
}

/// A step under way.
pub(crate) struct Step {
    title: String,
    log: PathBuf,
    started: Instant,
    bar: Option<ProgressBar>,
    said: Mutex<String>,
    note: Mutex<String>,
}

impl Step {
    fn start(title: &str, logs: &Path, terminal: bool) -> Result<Self> {
        let log = logs.join(format!("{}.log", slug(title)));
        fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
        let bar = terminal.then(|| {
            let style = ProgressStyle::with_template("{spinner:.green} {prefix} {elapsed:.dim} {wide_msg:.dim}");
            let bar = ProgressBar::new_spinner().with_prefix(title.to_owned());
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            line(&format!("==> {title}"));
        }
        Ok(Self {
            title: title.to_owned(),
            log,
            started: Instant::now(),
            bar,
            said: Mutex::default(),
            note: Mutex::default(),
        })
    }

    fn finish(self, succeeded: bool) -> (Duration, String) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let took = self.started.elapsed();
        let note = lock(&self.note).clone();
        let mark = if succeeded { "ok " } else { "FAILED" };
        let suffix = if note.is_empty() { String::new() } else { format!(": {note}") };
        line(&format!("{mark} {} ({}){suffix}", self.title, elapsed(took)));
        (took, note)
    }

    /// Says what the step does now. Repeating the same text says nothing.
    pub(crate) fn say(&self, text: &str) {
        let mut said = lock(&self.said);
        if *said == text {
            return;
        }
        text.clone_into(&mut said);
        drop(said);
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => line(&format!("    {text}")),
        }
    }

    /// Shows the latest output of a running command: on a terminal only, since it changes all the time.
    pub(crate) fn show(&self, output: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(output.to_owned());
        }
    }

    /// A sign of life for a log that is read as plain text: the latest output, or else what the step said it does.
    pub(crate) fn still(&self, output: Option<&str>) {
        if self.bar.is_none() {
            let said = lock(&self.said);
            let text = format!("    … {} {}", elapsed(self.started.elapsed()), output.unwrap_or(&said));
            line(text.trim_end());
        }
    }

    /// What stands beside the step's time at the end, such as "unchanged".
    pub(crate) fn note(&self, text: impl Into<String>) {
        *lock(&self.note) = text.into();
    }

    /// Where the output of the step's commands goes.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// A command whose output goes to the step's log.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Cmd<'_> {
        Cmd::new(self, program.as_ref())
    }
}

/// Prints one line for people.
#[expect(clippy::print_stdout, reason = "this is the one place that talks to the person at the terminal")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints an error and what caused it, outermost first.
#[expect(clippy::print_stderr, reason = "this is the one place that talks to the person at the terminal")]
pub(crate) fn report(error: &anyhow::Error) {
    eprintln!("\nerror: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  {}", cause.to_string().replace('\n', "\n  "));
    }
}

/// `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

fn slug(title: &str) -> String {
    title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_to_read() {
        assert_eq!(elapsed(Duration::from_millis(440)), "0.4 s");
        assert_eq!(elapsed(Duration::from_secs(12)), "12 s");
        assert_eq!(elapsed(Duration::from_secs(185)), "3 min 05 s");
    }

    #[test]
    fn a_title_becomes_a_file_name() {
        assert_eq!(slug("Cluster tools"), "cluster-tools");
    }
}
