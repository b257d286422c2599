//! PostgreSQL, which refuses to run as root: started by root it runs as the Debian user `postgres`.

use std::{
    fs, io,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nix::unistd::{User, geteuid};
use thiserror::Error;

use super::{BackingError, Home, Part, Postgres, State, create_dir, free_port};
use crate::{
    authority::Certified,
    debian::{self, last_lines},
    hash, process, wait,
};

const PACKAGE: &str = "postgresql-15";
const SYSTEM_BIN: &str = "/usr/lib/postgresql/15/bin";
const SERVER_USER: &str = "postgres";

/// How long a server may take to load a certificate.
const TLS_PATIENCE: Duration = Duration::from_secs(10);

/// Data of a development machine is worth less than its speed: no flush ever waits for the disk.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "log_min_messages=warning",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// Why `psql` did not do as it was told.
#[derive(Debug, Error)]
pub enum SqlError {
    /// `psql` could not be started.
    #[error("cannot run psql")]
    Spawn(#[source] io::Error),
    /// The server refused.
    #[error("psql: {output}")]
    Refused {
        /// What it said.
        output: String,
    },
}

impl Postgres {
    /// Runs SQL in `database` and returns the rows of its answer, unaligned, one a line.
    pub fn query(&self, database: &str, sql: &str) -> Result<String, SqlError> {
        self.psql(database, &["--command", sql])
    }

    /// Runs a file of SQL in `database` in one transaction.
    pub fn run_file(&self, database: &str, file: &Path) -> Result<(), SqlError> {
        self.psql(database, &["--single-transaction", "--file", &file.to_string_lossy()]).map(drop)
    }

    /// Makes `database` anew and empty, throwing out whoever uses it.
    pub fn recreate_database(&self, database: &str) -> Result<(), SqlError> {
        let name = quoted(database);
        self.query("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        self.query("postgres", &format!("CREATE DATABASE {name}")).map(drop)
    }

    /// Makes `database` unless it exists.
    pub fn ensure_database(&self, database: &str) -> Result<(), SqlError> {
        let literal = database.replace('\'', "''");
        let found = self.query("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{literal}'"))?;
        if !found.is_empty() {
            return Ok(());
        }
        self.query("postgres", &format!("CREATE DATABASE {}", quoted(database))).map(drop)
    }

    /// Makes the server speak TLS with whoever asks for it, and returns once it does. The development server is everybody's,
    /// so only a server of one's own should be told so.
    pub fn speak_tls(&self, certified: &Certified) -> Result<(), SqlError> {
        // The server's own hand writes the files: a key that others may read is refused.
        for (file, text) in [("server.crt", &certified.certificate), ("server.key", &certified.key)] {
            let lines = format!("unnest(string_to_array('{}', E'\\n'))", text.trim_end().replace('\r', ""));
            let copy = format!("COPY (SELECT {lines}) TO PROGRAM 'umask 077 && cat >{file}'");
            self.query("postgres", &copy)?;
        }
        self.query("postgres", "ALTER SYSTEM SET ssl = on")?;
        self.query("postgres", "SELECT pg_reload_conf()")?;
        let speaks = || {
            let session = self.query("postgres", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
            session.ok().filter(|ssl| ssl == "t").map(drop)
        };
        let silent = || SqlError::Refused { output: "the server does not take up its certificate".to_owned() };
        wait::until(TLS_PATIENCE, speaks).ok_or_else(silent)
    }

    fn psql(&self, database: &str, arguments: &[&str]) -> Result<String, SqlError> {
        let output = Command::new(program("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"])
            .args(["--dbname", &self.url(database)])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(SqlError::Spawn)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        Err(SqlError::Refused { output: String::from_utf8_lossy(&output.stderr).trim_end().to_owned() })
    }
}

pub(super) fn start(home: &Home, first_port: u16) -> Result<State, BackingError> {
    if !program("postgres").is_absolute() {
        debian::ensure_program("initdb", PACKAGE)
            .map_err(|source| BackingError::Packages { part: Part::Postgres, source })?;
    }
    let account = Account::find()?;
    let data = data_dir(home, &account)?;
    if !data.join("PG_VERSION").is_file() {
        initialise(&data, &account)?;
    }
    let port = free_port(Part::Postgres, first_port)?;
    let mut command = account.command("postgres");
    command.arg("-D").arg(&data).args(["-p", &port.to_string()]).current_dir("/");
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    let process = process::spawn_detached(&mut command, &home.log_file())
        .map_err(|source| BackingError::Spawn { program: "postgres".to_owned(), source })?;
    Ok(State { port, process })
}

/// The user the server runs as: the caller, or `postgres` where the caller is root.
enum Account {
    Caller,
    Server(User),
}

impl Account {
    fn find() -> Result<Self, BackingError> {
        if !geteuid().is_root() {
            return Ok(Self::Caller);
        }
        match User::from_name(SERVER_USER) {
            Ok(Some(user)) => Ok(Self::Server(user)),
            Ok(None) => Err(no_account(io::Error::other("there is no user `postgres`"))),
            Err(error) => Err(no_account(error.into())),
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        if let Self::Server(user) = self {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}

fn no_account(source: io::Error) -> BackingError {
    BackingError::Spawn { program: "postgres".to_owned(), source }
}

/// A program of Debian's PostgreSQL 15, else whatever the search path has.
fn program(name: &str) -> PathBuf {
    let system = Path::new(SYSTEM_BIN).join(name);
    if system.is_file() { system } else { PathBuf::from(name) }
}

/// Where the data lies: below the part's folder, unless the server's user cannot reach that (a checkout in root's
/// home); then in `/var/lib/greencommerce-dev`, by the hash of the folder.
fn data_dir(home: &Home, account: &Account) -> Result<PathBuf, BackingError> {
    let Account::Server(user) = account else {
        return Ok(home.dir.join("data"));
    };
    let near = fs::canonicalize(&home.dir).map_err(|source| BackingError::File { path: home.dir.clone(), source })?;
    if open_to_all(&near) {
        let base = near.join("server");
        return owned_dir(base, user).map(|base| base.join("data"));
    }
    let hash = hash::short(near.as_os_str().as_encoded_bytes(), 6);
    owned_dir(PathBuf::from("/var/lib/greencommerce-dev").join(hash), user).map(|base| base.join("data"))
}

/// Whether every folder on the way lets others pass.
fn open_to_all(dir: &Path) -> bool {
    dir.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0))
}

fn owned_dir(dir: PathBuf, user: &User) -> Result<PathBuf, BackingError> {
    create_dir(&dir)?;
    chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        .map_err(|source| BackingError::File { path: dir.clone(), source })?;
    Ok(dir)
}

/// Initialises beside the final place and moves into it, so that an interrupted run leaves nothing half made.
fn initialise(data: &Path, account: &Account) -> Result<(), BackingError> {
    let partial = data.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|source| BackingError::File { path: partial.clone(), source })?;
    }
    let output = account
        .command("initdb")
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--pgdata"])
        .arg(&partial)
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BackingError::Spawn { program: "initdb".to_owned(), source })?;
    if !output.status.success() {
        let text = last_lines(&String::from_utf8_lossy(&output.stderr), 20);
        return Err(BackingError::Prepare { command: "initdb".to_owned(), output: text });
    }
    fs::rename(&partial, data).map_err(|source| BackingError::File { path: data.to_path_buf(), source })
}

/// An identifier in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_cannot_end_the_identifier() {
        assert_eq!(quoted("a\"; DROP DATABASE x; --"), "\"a\"\"; DROP DATABASE x; --\"");
    }

    #[test]
    fn a_folder_below_a_private_one_is_not_open_to_all() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let below = dir.path().join("below");
        fs::create_dir(&below).unwrap();
        assert!(!open_to_all(&below));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(open_to_all(&below));
    }
}
