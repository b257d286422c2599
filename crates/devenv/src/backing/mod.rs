//! PostgreSQL, Kafka and Redis as plain processes, one set for a checkout.
//!
//! Each part has a folder with its data, its log and the record of its process. Whoever needs a part calls
//! [`Backing::postgres`], [`Backing::kafka`] or [`Backing::redis`]: under a file lock the part is found running, or
//! started and waited for. The processes survive the one that started them, until [`Backing::stop`].

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    debian::{PackagesError, last_lines},
    kafka::DistributionError,
    process::Identity,
    wait,
};

mod broker;
mod cache;
mod postgres;
mod probe;

pub use postgres::SqlError;

const STOP_GRACE: Duration = Duration::from_secs(15);
const PORTS_TRIED: u16 = 100;

/// One of the backing services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// PostgreSQL 15.
    Postgres,
    /// Apache Kafka 4.1, one broker that is its own controller.
    Kafka,
    /// Redis 7.
    Redis,
}

impl Part {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Kafka, Self::Redis];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Kafka => "Kafka",
            Self::Redis => "Redis",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Redis => "redis",
        }
    }
}

/// Why a backing service does not run.
#[derive(Debug, Error)]
pub enum BackingError {
    /// A Debian package is missing and could not be installed.
    #[error("{} needs Debian packages", part.name())]
    Packages {
        /// Which part.
        part: Part,
        /// Why they are missing.
        source: PackagesError,
    },
    /// The Kafka distribution could not be put together.
    #[error("the Kafka distribution is missing")]
    Distribution(#[from] DistributionError),
    /// A file or folder could not be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A command that prepares the part's data failed.
    #[error("`{command}` failed:\n{output}")]
    Prepare {
        /// The program that failed.
        command: String,
        /// The last lines it printed.
        output: String,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    Spawn {
        /// Which one.
        program: String,
        /// Why it failed.
        source: io::Error,
    },
    /// No port near the wanted one is free.
    #[error("no free port for {} from {first} on", part.name())]
    NoPort {
        /// Which part.
        part: Part,
        /// The first port tried.
        first: u16,
    },
    /// The process runs no more, or does not answer in time.
    #[error("{} is not ready; the end of {}:\n{output}", part.name(), log.display())]
    NotReady {
        /// Which part.
        part: Part,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        output: String,
    },
    /// The thread that started a part died.
    #[error("the start of {} was cut short", part.name())]
    Interrupted {
        /// Which part.
        part: Part,
    },
}

/// The ports that are tried first. The next free one is taken where another process holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// PostgreSQL's.
    pub postgres: u16,
    /// The Kafka broker's; its controller listens on the next free one after it.
    pub kafka: u16,
    /// Redis's.
    pub redis: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { postgres: 15432, kafka: 19092, redis: 16379 }
    }
}

/// The backing services of one folder.
#[derive(Debug, Clone)]
pub struct Backing {
    dir: PathBuf,
    ports: Ports,
}

impl Backing {
    /// Those of `dir`, on the usual ports. Starts nothing yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::with_ports(dir, Ports::default())
    }

    /// Those of `dir`, trying `ports` first. A part that runs already keeps its port.
    #[must_use]
    pub fn with_ports(dir: impl Into<PathBuf>, ports: Ports) -> Self {
        Self { dir: dir.into(), ports }
    }

    /// Those of this checkout, in `target/dev`, shared by all its test processes and `cargo xtask dev`.
    #[must_use]
    pub fn of_checkout() -> Self {
        Self::new(crate::paths::dev_dir())
    }

    /// Makes all three run, at the same time.
    pub fn start(dir: impl Into<PathBuf>) -> Result<Self, BackingError> {
        let backing = Self::new(dir);
        backing.start_all()?;
        Ok(backing)
    }

    /// Makes all three run, at the same time. Returns once each has answered a real connection.
    pub fn start_all(&self) -> Result<(), BackingError> {
        let results = thread::scope(|scope| {
            let started = Part::ALL.map(|part| (part, scope.spawn(move || self.ensure(part).map(drop))));
            started.map(|(part, thread)| thread.join().unwrap_or(Err(BackingError::Interrupted { part })))
        });
        results.into_iter().collect()
    }

    /// The running PostgreSQL server, started when it does not run.
    pub fn postgres(&self) -> Result<Postgres, BackingError> {
        let state = self.ensure(Part::Postgres)?;
        Ok(Postgres { port: state.port })
    }

    /// The running Kafka broker, started when it does not run.
    pub fn kafka(&self) -> Result<Kafka, BackingError> {
        let state = self.ensure(Part::Kafka)?;
        Ok(Kafka { port: state.port })
    }

    /// The running Redis server, started when it does not run.
    pub fn redis(&self) -> Result<Redis, BackingError> {
        let state = self.ensure(Part::Redis)?;
        Ok(Redis { port: state.port })
    }

    /// Ends every process of this folder. The data stays.
    pub fn stop(&self) -> Result<(), BackingError> {
        thread::scope(|scope| {
            let stopping = Part::ALL.map(|part| (part, scope.spawn(move || self.stop_part(part))));
            stopping.map(|(part, thread)| thread.join().unwrap_or(Err(BackingError::Interrupted { part })))
        })
        .into_iter()
        .collect()
    }

    /// Which parts run now, with the port of each.
    #[must_use]
    pub fn running(&self) -> Vec<(Part, u16)> {
        let state = |part| State::read(&self.home(part).state_file());
        Part::ALL
            .into_iter()
            .filter_map(|part| state(part).filter(|state| state.process.is_alive()).map(|state| (part, state.port)))
            .collect()
    }

    fn home(&self, part: Part) -> Home {
        Home { part, dir: self.dir.join(part.folder()) }
    }

    fn ensure(&self, part: Part) -> Result<State, BackingError> {
        let home = self.home(part);
        let _lock = home.lock()?;
        let old = State::read(&home.state_file());
        if let Some(state) = old.clone().filter(|state| state.process.is_alive()) {
            if home.wait_ready(&state).is_ok() {
                return Ok(state);
            }
            state.process.terminate(stop_signal(part), STOP_GRACE);
        }
        self.start_part(&home, old.map(|state| state.port))
    }

    fn start_part(&self, home: &Home, last_port: Option<u16>) -> Result<State, BackingError> {
        let state = match home.part {
            Part::Postgres => postgres::start(home, last_port.unwrap_or(self.ports.postgres))?,
            Part::Kafka => broker::start(home, last_port.unwrap_or(self.ports.kafka))?,
            Part::Redis => cache::start(home, last_port.unwrap_or(self.ports.redis))?,
        };
        state.write(&home.state_file())?;
        home.wait_ready(&state)?;
        Ok(state)
    }

    fn stop_part(&self, part: Part) -> Result<(), BackingError> {
        let home = self.home(part);
        if !home.dir.is_dir() {
            return Ok(());
        }
        let _lock = home.lock()?;
        if let Some(state) = State::read(&home.state_file()) {
            state.process.terminate(stop_signal(part), STOP_GRACE);
        }
        Ok(())
    }
}

/// A running PostgreSQL server on the loopback address. Its superuser is `postgres`, without a password.
#[derive(Debug, Clone)]
pub struct Postgres {
    port: u16,
}

impl Postgres {
    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database on it, for its superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// A running Kafka broker on the loopback address, without authentication.
#[derive(Debug, Clone)]
pub struct Kafka {
    port: u16,
}

impl Kafka {
    /// What clients take as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A running Redis server on the loopback address, without a password.
#[derive(Debug, Clone)]
pub struct Redis {
    port: u16,
}

impl Redis {
    /// How many databases it has, numbered from 0.
    pub const DATABASES: u32 = cache::DATABASES;

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: u32) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }
}

/// The process of a part as it is remembered on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    port: u16,
    process: Identity,
}

impl State {
    /// A file that is missing or damaged is the same as none: the part is started again.
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Replaces the file in one step.
    fn write(&self, path: &Path) -> Result<(), BackingError> {
        let partial = path.with_extension("partial");
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other);
        text.and_then(|text| fs::write(&partial, text))
            .and_then(|()| fs::rename(&partial, path))
            .map_err(|source| BackingError::File { path: path.to_path_buf(), source })
    }
}

/// The folder of a part.
struct Home {
    part: Part,
    dir: PathBuf,
}

impl Home {
    fn state_file(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Waits for the lock that guards this part; it is freed when the file is closed, also by a crash.
    fn lock(&self) -> Result<fs::File, BackingError> {
        create_dir(&self.dir)?;
        let path = self.dir.join("lock");
        fs::File::create(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|source| BackingError::File { path, source })
    }

    /// Waits until the part answers a real connection, or its process has ended, or the deadline has passed.
    fn wait_ready(&self, state: &State) -> Result<(), BackingError> {
        let ended = |state: &State| (!state.process.is_alive()).then_some(false);
        let answered = wait::until(ready_deadline(self.part), || {
            if probe::answers(self.part, state.port) { Some(true) } else { ended(state) }
        });
        if answered == Some(true) { Ok(()) } else { Err(self.not_ready()) }
    }

    fn not_ready(&self) -> BackingError {
        let log = self.log_file();
        let output = fs::read(&log).map(|bytes| last_lines(&String::from_utf8_lossy(&bytes), 20));
        BackingError::NotReady { part: self.part, output: output.unwrap_or_default(), log }
    }
}

/// A machine with two cores that compiles at the same time starts a JVM slowly.
fn ready_deadline(part: Part) -> Duration {
    match part {
        Part::Postgres | Part::Redis => Duration::from_mins(1),
        Part::Kafka => Duration::from_mins(2),
    }
}

/// PostgreSQL's fast shutdown is SIGINT: it does not wait for clients to leave.
fn stop_signal(part: Part) -> Signal {
    match part {
        Part::Postgres => Signal::SIGINT,
        Part::Kafka | Part::Redis => Signal::SIGTERM,
    }
}

/// The first port from `first` on that nobody listens on.
fn free_port(part: Part, first: u16) -> Result<u16, BackingError> {
    (first..first.saturating_add(PORTS_TRIED))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .ok_or(BackingError::NoPort { part, first })
}

fn create_dir(path: &Path) -> Result<(), BackingError> {
    fs::create_dir_all(path).map_err(|source| BackingError::File { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests;
