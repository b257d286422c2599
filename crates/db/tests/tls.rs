//! Which database servers a service trusts.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{fs, os::unix::fs::PermissionsExt as _};

use db::{Database, DatabaseArgs};
use devenv::{
    Authority, Backing,
    backing::{Ports, Postgres},
};
use sqlx::migrate::Migrator;

static NONE: Migrator = Migrator::DEFAULT;

/// A server of the test's own, which ends with the value: the one that all share speaks no TLS.
struct OwnServer {
    backing: Backing,
    postgres: Postgres,
    _dir: tempfile::TempDir,
}

impl OwnServer {
    fn start(authority: &Authority) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let backing = Backing::with_ports(dir.path(), Ports { postgres: 25690, ..Ports::default() });
        let postgres = backing.postgres().unwrap();
        postgres.speak_tls(&authority.certify(&["localhost"])).unwrap();
        Self { backing, postgres, _dir: dir }
    }

    /// What a service is told that verifies the server.
    fn verified(&self, host: &str, authority: Option<&Authority>) -> DatabaseArgs {
        DatabaseArgs {
            database_url: self.postgres.url("postgres").replace("127.0.0.1", host) + "?sslmode=verify-full",
            database_ca: authority.map(Authority::pem),
            database_max_connections: 1,
        }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.backing.stop().unwrap();
    }
}

async fn answers(args: &DatabaseArgs) -> bool {
    Database::connect(args, "tls").unwrap().ping().await.is_ok()
}

#[tokio::test]
async fn a_service_speaks_only_with_a_server_that_its_authorities_vouch_for() {
    let authority = Authority::new("ours");
    let server = OwnServer::start(&authority);
    let trusted = server.verified("localhost", Some(&authority));
    assert!(answers(&trusted).await);
    db::migrate(&trusted, &NONE).await.unwrap();

    assert!(!answers(&server.verified("localhost", Some(&Authority::new("foreign")))).await);
    assert!(!answers(&server.verified("localhost", None)).await);
    assert!(!answers(&server.verified("127.0.0.1", Some(&authority))).await);
}
