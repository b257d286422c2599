//! Processes that outlive the one that started them, known by pid *and* start time, so that a reused pid is never
//! mistaken for ours.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use crate::wait;

/// A running process as it is remembered on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pid: i32,
    /// Start time in clock ticks since boot, field 22 of `/proc/<pid>/stat` (proc(5)).
    start_ticks: u64,
    boot_id: String,
}

impl Identity {
    /// Whether this very process still runs; a zombie does not.
    pub(crate) fn is_alive(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot_id)
            && stat(self.pid).is_some_and(|now| now.start_ticks == self.start_ticks && !now.is_gone())
    }

    /// Sends `first` to the process, then SIGKILL to its group when it has not ended within `grace`.
    ///
    /// Does nothing when the process is not alive.
    pub(crate) fn terminate(&self, first: Signal, grace: Duration) {
        if !self.is_alive() {
            return;
        }
        // An error means that it ended between the check and the call, which is what we want.
        let _ = kill(Pid::from_raw(self.pid), first);
        if wait::until(grace, || (!self.is_alive()).then_some(())).is_none() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
            let _ = wait::until(Duration::from_secs(5), || (!self.is_alive()).then_some(()));
        }
    }
}

/// Starts `command` in a process group of its own, with its output appended to `log`: Ctrl-C in the terminal that
/// started it does not reach it, and it survives its parent.
pub(crate) fn spawn_detached(command: &mut Command, log: &Path) -> io::Result<Identity> {
    let output = fs::OpenOptions::new().create(true).append(true).open(log)?;
    let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0).spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let stat = stat(pid).ok_or_else(|| io::Error::other("the process ended at once"))?;
    Ok(Identity { pid, start_ticks: stat.start_ticks, boot_id: boot_id()? })
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start_ticks: u64,
}

impl Stat {
    fn is_gone(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses `/proc/<pid>/stat`. The second field is the command in parentheses and may itself hold spaces and
/// parentheses, so fields are counted from the last one that closes.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let start_ticks = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, start_ticks })
}

fn boot_id() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP: &str = "4242 (a ) b) S 1 4242 4242 0 -1 4194560 96 0 0 0 0 0 0 0 20 0 1 0 98765 5529600 230 18446744";

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        assert_eq!(parse_stat(SLEEP), Some(Stat { state: 'S', start_ticks: 98765 }));
    }

    #[test]
    fn a_truncated_line_is_no_process() {
        assert_eq!(parse_stat("4242 (sleep) S 1 4242"), None);
    }

    #[test]
    fn a_process_is_alive_until_it_is_terminated() {
        let dir = tempfile::tempdir().unwrap();
        let sleeper = spawn_detached(Command::new("sleep").arg("60"), &dir.path().join("log")).unwrap();
        assert!(sleeper.is_alive());
        sleeper.terminate(Signal::SIGTERM, Duration::from_secs(5));
        assert!(!sleeper.is_alive());
    }

    #[test]
    fn another_process_with_the_same_pid_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let sleeper = spawn_detached(Command::new("sleep").arg("60"), &dir.path().join("log")).unwrap();
        let stranger = Identity { start_ticks: sleeper.start_ticks + 1, ..sleeper.clone() };
        assert!(!stranger.is_alive());
        sleeper.terminate(Signal::SIGKILL, Duration::from_secs(5));
    }
}
