//! A PostgreSQL server of a test's own: unlike the shared one it asks for passwords, and its maintenance databases may be
//! closed.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use devenv::{
    Backing,
    backing::{Ports, Postgres},
};

/// It ends with the value.
pub(crate) struct OwnServer {
    pub(crate) backing: Backing,
    pub(crate) postgres: Postgres,
    dir: PathBuf,
}

impl OwnServer {
    /// A server on the first free port from `port` on.
    pub(crate) fn start(name: &str, port: u16) -> Self {
        let dir = std::env::temp_dir().join(format!("greencommerce-operator-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let backing = Backing::with_ports(&dir, Ports { postgres: port, ..Ports::default() });
        let postgres = backing.postgres().unwrap();
        ask_for_passwords(&postgres);
        Self { backing, postgres, dir }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.backing.stop().unwrap();
        fs::remove_dir_all(&self.dir).unwrap();
    }
}

fn ask_for_passwords(postgres: &Postgres) {
    let rules = "ARRAY['host all postgres 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256']";
    let file = postgres.query("postgres", "SHOW hba_file").unwrap();
    postgres.query("postgres", &format!("COPY (SELECT unnest({rules})) TO '{file}'")).unwrap();
    postgres.query("postgres", "SELECT pg_reload_conf()").unwrap();
}
