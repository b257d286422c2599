//! External commands: output to a log file, a sign of life while they run, and an error that says what to do.

use std::{
    ffi::OsStr,
    fmt, fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::ui::Step;

const TAIL_LINES: usize = 15;
const POLL: Duration = Duration::from_millis(25);
const SHOW_EVERY: Duration = Duration::from_millis(500);
const STILL_EVERY: Duration = Duration::from_mins(1);

/// One command of a step.
pub(crate) struct Cmd<'a> {
    step: &'a Step,
    command: Command,
    hint: Option<String>,
    input: Option<Vec<u8>>,
}

/// What a command that was allowed to fail did.
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
}

impl<'a> Cmd<'a> {
    pub(crate) fn new(step: &'a Step, program: &Path) -> Self {
        let mut command = Command::new(program);
        command.env("PATH", search_path());
        Self { step, command, hint: None, input: None }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// What the person should do when this command fails.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Text for the command's standard input; it is not logged.
    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Runs the command with all output in the step's log.
    pub(crate) fn run(self) -> Result<()> {
        self.execute(false).and_then(Finished::require).map(drop)
    }

    /// Runs the command and returns its standard output; standard error goes to the log.
    pub(crate) fn output(self) -> Result<String> {
        self.execute(true).and_then(Finished::require)
    }

    /// Runs a command whose failure is an answer.
    pub(crate) fn attempt(self) -> Result<Output> {
        let Finished { status, stdout, .. } = self.execute(true)?;
        Ok(Output { success: status.success(), stdout })
    }

    fn execute(self, capture: bool) -> Result<Finished> {
        let Self { step, mut command, hint, input } = self;
        let shown = shown(&command);
        let mut log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(step.log())
            .with_context(|| format!("cannot write {}", step.log().display()))?;
        writeln!(log, "$ {shown}")?;
        let begin = log.metadata()?.len();
        command
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stderr(log.try_clone()?)
            .stdout(if capture { Stdio::piped() } else { Stdio::from(log) });
        let mut child = command.spawn().with_context(|| format!("cannot start: {shown}"))?;
        let stdout = thread::scope(|scope| -> Result<String> {
            let stdin = child.stdin.take();
            let pipe = child.stdout.take();
            scope.spawn(move || {
                if let (Some(mut stdin), Some(input)) = (stdin, input) {
                    // A command that ends before it has read everything says so by its exit status.
                    let _ = stdin.write_all(&input);
                }
            });
            let reader = scope.spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut pipe) = pipe {
                    let _ = pipe.read_to_end(&mut bytes);
                }
                String::from_utf8_lossy(&bytes).into_owned()
            });
            watch(step, &mut child, begin)?;
            Ok(reader.join().unwrap_or_default())
        })?;
        let status = child.wait()?;
        Ok(Finished { status, stdout, begin, shown, log: step.log().to_path_buf(), hint })
    }
}

struct Finished {
    status: ExitStatus,
    stdout: String,
    begin: u64,
    shown: String,
    log: PathBuf,
    hint: Option<String>,
}

impl Finished {
    fn require(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let mut output = read_from(&self.log, self.begin);
        // What a program computes is long and seldom says why it failed.
        if output.trim().is_empty() {
            output.push_str(&self.stdout);
        }
        Err(CommandFailed {
            command: self.shown,
            status: self.status.to_string(),
            tail: tail(&output, TAIL_LINES),
            log: self.log,
            hint: self.hint,
        }
        .into())
    }
}

/// A command ended badly: what it was, what it said last, where the rest is, what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) struct CommandFailed {
    command: String,
    status: String,
    tail: Vec<String>,
    log: PathBuf,
    hint: Option<String>,
}

impl fmt::Display for CommandFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "command: {}", self.command)?;
        writeln!(f, "{}", self.status)?;
        for line in &self.tail {
            writeln!(f, "  | {line}")?;
        }
        write!(f, "log: {}", self.log.display())?;
        if let Some(hint) = &self.hint {
            write!(f, "\nwhat to do: {hint}")?;
        }
        Ok(())
    }
}

/// Waits for the child and shows meanwhile the last line it wrote, if that tells what it does now.
fn watch(step: &Step, child: &mut Child, begin: u64) -> Result<()> {
    let (mut shown, mut still) = (Instant::now(), Instant::now());
    while child.try_wait()?.is_none() {
        thread::sleep(POLL);
        if shown.elapsed() >= SHOW_EVERY {
            shown = Instant::now();
            let line = latest(&read_from(step.log(), begin));
            if let Some(line) = &line {
                step.show(line);
            }
            if still.elapsed() >= STILL_EVERY {
                still = Instant::now();
                step.still(line.as_deref());
            }
        }
    }
    Ok(())
}

/// The last 8 KiB of a file at the most, and nothing before `begin`.
fn read_from(path: &Path, begin: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(begin.max(length.saturating_sub(8192))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

/// The line to show of a command that runs. `go build` names the modules it downloads and then compiles for minutes in
/// silence, so its last download is no news.
fn latest(output: &str) -> Option<String> {
    tail(output, 1).pop().filter(|line| !line.starts_with("go: downloading "))
}

pub(crate) fn tail(text: &str, lines: usize) -> Vec<String> {
    let mut last: Vec<String> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(lines).map(str::to_owned).collect();
    last.reverse();
    last
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=/.:,@%+{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The person's PATH, and the folders of system tools that a `su` without `-` leaves out.
pub(crate) fn search_path() -> String {
    let path = std::env::var_os("PATH").map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let missing = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .into_iter()
        .filter(|dir| !path.split(':').any(|entry| entry == *dir));
    std::iter::once(path.as_str()).filter(|path| !path.is_empty()).chain(missing).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_leaves_out_empty_lines() {
        assert_eq!(tail("a\n\nb\nc\n\n", 2), ["b", "c"]);
    }

    #[test]
    fn a_download_is_not_shown_as_what_happens_now() {
        assert_eq!(latest("a\nb\n").as_deref(), Some("b"));
        assert_eq!(latest("go: downloading a.b/c v1.2.3\n"), None);
        assert_eq!(latest(""), None);
    }

    #[test]
    fn words_are_quoted_so_that_the_command_can_be_pasted() {
        assert_eq!(quoted("--flag=a/b"), "--flag=a/b");
        assert_eq!(quoted("two words"), "'two words'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_failure_shows_command_output_log_and_advice() {
        let failed = CommandFailed {
            command: "false".to_owned(),
            status: "exit status: 1".to_owned(),
            tail: vec!["no such thing".to_owned()],
            log: PathBuf::from("/tmp/x.log"),
            hint: Some("try again".to_owned()),
        };
        assert_eq!(
            failed.to_string(),
            "command: false\nexit status: 1\n  | no such thing\nlog: /tmp/x.log\nwhat to do: try again"
        );
    }
}
