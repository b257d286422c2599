//! Processes that end with the one that started them, however that ends.
//!
//! The kernel kills a process whose parent *thread* is gone, where it has been asked to (`PR_SET_PDEATHSIG`, prctl(2)).
//! `setpriv` asks and then becomes the program; one thread that lives as long as this process is the parent of all.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock, mpsc},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What the kernel counts CPU time in, for everybody but itself.
const TICKS_A_SECOND: u64 = 100;

type Job = Box<dyn FnOnce() + Send>;

/// A process that does not outlive this one.
#[derive(Debug)]
pub(crate) struct Leashed {
    pid: i32,
    child: Mutex<Child>,
    log: PathBuf,
}

/// The command that runs `program` on a leash, to be completed and given to [`spawn`].
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts what [`command`] made, with its output appended to `log`, out of reach of Ctrl-C in the terminal.
pub(crate) fn spawn(mut command: Command, log: &Path) -> io::Result<Leashed> {
    let output = fs::OpenOptions::new().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
    let (answer, answered) = mpsc::channel();
    let job: Job = Box::new(move || {
        // The one who asked waits for the answer.
        let _ = answer.send(command.spawn());
    });
    keeper().send(job).map_err(|_| io::Error::other("the keeper is gone"))?;
    let child = answered.recv().map_err(io::Error::other)??;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Leashed { pid, child: Mutex::new(child), log: log.to_path_buf() })
}

impl Leashed {
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Its end, if it has ended.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().expect("no code panics while holding this lock").try_wait().ok().flatten()
    }

    /// The CPU time it has used, while it is there: fields 14 and 15 of `proc_pid_stat(5)`.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let after_name = stat.rsplit_once(')')?.1;
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
    }

    /// Ends it at once and waits until it is gone.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().expect("no code panics while holding this lock");
        // It may have ended by itself, which is as good.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Sends it a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended().is_none() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// The last lines of its output.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The thread that is everybody's parent.
fn keeper() -> &'static mpsc::Sender<Job> {
    static KEEPER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let (jobs, work) = mpsc::channel::<Job>();
        let keep = move || work.into_iter().for_each(|job| job());
        thread::Builder::new().name("leash".to_owned()).spawn(keep).expect("a thread can be started");
        jobs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Leashed {
        let mut sleep = command(Path::new("sleep"));
        sleep.arg("60");
        spawn(sleep, Path::new("/dev/null")).unwrap()
    }

    #[test]
    fn a_process_is_killed_when_it_is_let_go() {
        let leashed = sleeper();
        let pid = Pid::from_raw(leashed.pid());
        assert!(leashed.ended().is_none());
        assert!(kill(pid, None).is_ok());
        drop(leashed);
        assert!(kill(pid, None).is_err());
    }

    #[test]
    fn a_process_that_works_uses_time_and_one_that_sleeps_does_not() {
        let mut busy = command(Path::new("sh"));
        busy.args(["-c", "while :; do :; done"]);
        let (busy, idle) = (spawn(busy, Path::new("/dev/null")).unwrap(), sleeper());
        while busy.cpu_time().unwrap() < Duration::from_millis(50) {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(idle.cpu_time().unwrap() < Duration::from_millis(50));
        busy.kill();
        assert_eq!(busy.cpu_time(), None);
    }

    #[test]
    fn a_process_asks_to_be_killed_with_its_parent_and_survives_the_thread_that_wanted_it() {
        let leashed = thread::spawn(sleeper).join().unwrap();
        thread::sleep(Duration::from_millis(50));
        assert!(leashed.ended().is_none());
    }
}
