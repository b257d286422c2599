//! Redis, which keeps nothing over a restart here.

use std::process::Command;

use super::{BackingError, Home, Part, State, free_port};
use crate::{debian, process};

/// Enough for every test of a run to take one of its own.
pub(super) const DATABASES: u32 = 1024;

pub(super) fn start(home: &Home, first_port: u16) -> Result<State, BackingError> {
    debian::ensure_program("redis-server", "redis-server")
        .map_err(|source| BackingError::Packages { part: Part::Redis, source })?;
    let port = free_port(Part::Redis, first_port)?;
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--protected-mode", "no", "--daemonize", "no"])
        .args(["--save", "", "--appendonly", "no", "--loglevel", "warning"])
        .args(["--databases", &DATABASES.to_string()])
        .args(["--port", &port.to_string()])
        .current_dir(&home.dir);
    let process = process::spawn_detached(&mut command, &home.log_file())
        .map_err(|source| BackingError::Spawn { program: "redis-server".to_owned(), source })?;
    Ok(State { port, process })
}
