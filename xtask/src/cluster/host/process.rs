//! Processes that outlive `xtask`: started once, written down, recognised later by start time and command, restarted when dead or changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use crate::{command, digest::Key};

const LOG_LIMIT: u64 = 64 << 20;
const EXEC_DEADLINE: Duration = Duration::from_secs(10);
/// How long a process may take to end by itself before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// What should run.
pub(super) struct Daemon {
    pub(super) name: String,
    /// The network namespace, or the machine's own.
    pub(super) netns: Option<String>,
    pub(super) command: Vec<String>,
    /// Files read at the start: when one changes, the process is restarted.
    pub(super) config: Vec<PathBuf>,
}

/// What became of a [`Daemon`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Started {
    /// It ran already, with this command and this configuration.
    Unchanged,
    /// It runs since now.
    Now,
}

/// What is remembered of a process: enough to never take another process for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) pid: i32,
    /// Clock ticks since boot, field 22 of `/proc/<pid>/stat`.
    start_time: u64,
    boot_id: String,
    command: Vec<String>,
    /// Of the configuration files' contents.
    config: String,
}

/// The folder of records and the folder of logs.
pub(super) struct Supervisor {
    pids: PathBuf,
    logs: PathBuf,
}

impl Supervisor {
    pub(super) fn new(pids: &Path, logs: &Path) -> Result<Self> {
        for dir in [pids, logs] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        Ok(Self::existing(pids, logs))
    }

    /// For reading only: makes no folders.
    pub(super) fn existing(pids: &Path, logs: &Path) -> Self {
        Self { pids: pids.to_path_buf(), logs: logs.to_path_buf() }
    }

    /// Makes the process run as described.
    pub(super) fn ensure(&self, daemon: &Daemon) -> Result<Started> {
        let config = config_key(&daemon.config)?;
        if let Some(record) = self.record(&daemon.name)
            && record.is_alive()
        {
            if record.command == daemon.command && record.config == config {
                return Ok(Started::Unchanged);
            }
            self.stop(&[record])?;
        }
        self.start(daemon, config)?;
        Ok(Started::Now)
    }

    /// Ends the process of that name, where it lives.
    pub(super) fn end(&self, name: &str) -> Result<()> {
        self.record(name).map_or(Ok(()), |record| self.stop(&[record]))
    }

    /// Whether the process of that name lives.
    pub(super) fn is_alive(&self, name: &str) -> bool {
        self.record(name).is_some_and(|record| record.is_alive())
    }

    /// Fails with the last lines of its log when the process is dead.
    pub(super) fn require(&self, name: &str) -> Result<()> {
        if self.is_alive(name) {
            return Ok(());
        }
        let log = self.log(name);
        let text = fs::read_to_string(&log).unwrap_or_default();
        bail!("{name} ended by itself\n  | {}\nlog: {}", command::tail(&text, 12).join("\n  | "), log.display())
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = fs::read_dir(&self.pids)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| serde_json::from_str(&fs::read_to_string(entry.path()).ok()?).ok())
            .collect();
        records.sort_by(|a, b| a.name.cmp(&b.name));
        records
    }

    /// Asks every process to end, waits for each, kills what does not, and forgets them.
    pub(super) fn stop(&self, records: &[Record]) -> Result<()> {
        let alive: Vec<&Record> = records.iter().filter(|record| record.is_alive()).collect();
        for record in &alive {
            record.signal(Signal::SIGTERM)?;
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        for record in &alive {
            while record.is_alive() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(20));
            }
            if record.is_alive() {
                record.signal(Signal::SIGKILL)?;
            }
        }
        for record in records {
            let _ = fs::remove_file(self.file(&record.name));
        }
        Ok(())
    }

    fn start(&self, daemon: &Daemon, config: String) -> Result<()> {
        let log_path = self.log(&daemon.name);
        let full = fs::metadata(&log_path).is_ok_and(|log| log.len() > LOG_LIMIT);
        let log = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .append(!full)
            .truncate(full)
            .open(&log_path)
            .with_context(|| format!("cannot write {}", log_path.display()))?;
        // setsid and nsenter replace themselves by the next program, so the process id stays (setsid would fork if the child led a group).
        let mut command = Command::new("setsid");
        if let Some(netns) = &daemon.netns {
            // Not `ip netns exec`: the kubelet and containerd must share one mount namespace.
            command.arg("nsenter").arg(format!("--net=/run/netns/{netns}")).arg("--");
        }
        let child = command
            .args(&daemon.command)
            .env("PATH", command::search_path())
            .env_remove("KUBECONFIG")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", daemon.name))?;
        let pid = i32::try_from(child.id()).context("a process id beyond 31 bits")?;
        let Some(start_time) = start_time(pid) else {
            bail!("{} ended at once; log: {}", daemon.name, log_path.display());
        };
        let record = Record {
            name: daemon.name.clone(),
            pid,
            start_time,
            boot_id: boot_id(),
            command: daemon.command.clone(),
            config,
        };
        record.await_exec();
        let file = self.file(&daemon.name);
        fs::write(&file, serde_json::to_string_pretty(&record)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn record(&self, name: &str) -> Option<Record> {
        serde_json::from_str(&fs::read_to_string(self.file(name)).ok()?).ok()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.pids.join(format!("{name}.json"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }
}

impl Record {
    /// True only for the very process that was started: process ids are reused.
    pub(super) fn is_alive(&self) -> bool {
        self.boot_id == boot_id() && start_time(self.pid) == Some(self.start_time) && self.runs_its_command()
    }

    fn runs_its_command(&self) -> bool {
        command_line(self.pid).is_some_and(|line| line == self.command)
    }

    /// The child is `setsid`, then `nsenter`, then the program: it is recognisable from the last on.
    fn await_exec(&self) {
        let deadline = Instant::now() + EXEC_DEADLINE;
        while start_time(self.pid) == Some(self.start_time) && !self.runs_its_command() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot stop {}", self.name)),
        }
    }
}

/// The start time of a live process; `None` for one that is gone or a zombie.
fn start_time(pid: i32) -> Option<u64> {
    parse_start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the program's name in parentheses and may hold blanks and parentheses itself.
fn parse_start_time(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

pub(super) fn command_line(pid: i32) -> Option<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&bytes);
    Some(line.trim_end_matches('\0').split('\0').map(str::to_owned).collect())
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn config_key(files: &[PathBuf]) -> Result<String> {
    files.iter().try_fold(Key::new(), |key, file| key.file(file)).map(|key| key.hex(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (odd) name) S 1 4242 4242 0 -1 4194560 9 0 0 0 1 2 3 4 20 0 1 0 987654 1000 5";

    #[test]
    fn the_start_time_is_read_past_a_name_with_parentheses() {
        assert_eq!(parse_start_time(STAT), Some(987_654));
    }

    #[test]
    fn a_zombie_counts_as_dead() {
        assert_eq!(parse_start_time(&STAT.replace(") S", ") Z")), None);
    }

    #[test]
    fn a_process_is_started_once_recognised_and_stopped() {
        let dir = std::env::temp_dir().join(format!("xtask-process-{}", std::process::id()));
        let supervisor = Supervisor::new(&dir.join("pids"), &dir.join("logs")).unwrap();
        let mut daemon = Daemon {
            name: "sleeper".to_owned(),
            netns: None,
            command: ["sleep", "300"].map(str::to_owned).to_vec(),
            config: vec![],
        };
        assert_eq!(supervisor.ensure(&daemon).unwrap(), Started::Now);
        assert_eq!(supervisor.ensure(&daemon).unwrap(), Started::Unchanged);
        let first = supervisor.records();

        daemon.command[1] = "301".to_owned();
        assert_eq!(supervisor.ensure(&daemon).unwrap(), Started::Now);
        assert!(!first[0].is_alive());

        let mut stranger = supervisor.records()[0].clone();
        stranger.start_time += 1;
        assert!(!stranger.is_alive(), "the same process id with another start time is another process");

        supervisor.end("somebody else").unwrap();
        assert!(supervisor.is_alive("sleeper"));
        supervisor.end("sleeper").unwrap();
        assert!(!supervisor.is_alive("sleeper"));
        assert!(supervisor.records().is_empty());
        fs::remove_dir_all(dir).unwrap();
    }
}
