//! A PostgreSQL database for one test, copied from a migrated template.

use std::{collections::HashMap, sync::Arc};

use db::{Database, DatabaseArgs};
use devenv::backing::Postgres;
use sqlx::{Connection as _, PgConnection, PgPool, migrate::Migrator, postgres::PgPoolOptions};
use tokio::sync::{Mutex, OnceCell};

use crate::backing;

/// Connections that one test's service keeps at most. The server takes 300.
const CONNECTIONS: u32 = 8;
/// Guards the templates between processes ("tmpl" in ASCII).
const TEMPLATE_LOCK: i64 = 0x746d_706c;

/// A database of its own for one test, with the platform's and the service's schema. Dropped with the value, unless the
/// test panics: then it stays for a look, and a later run removes it.
#[derive(Debug)]
pub struct TestDatabase {
    server: &'static Postgres,
    name: String,
    pool: PgPool,
}

impl TestDatabase {
    /// A database with the schema of `service`.
    ///
    /// # Panics
    ///
    /// When PostgreSQL cannot be started or a migration fails.
    pub async fn new(service: &str, migrator: &'static Migrator) -> Self {
        let server = backing::postgres().await;
        let template = format!("template_{service}");
        prepare_once(server, &template, migrator).await;
        let name = backing::unique();
        let mut admin = connect(&server.url("postgres")).await;
        execute(&mut admin, &format!("SELECT pg_advisory_lock_shared({TEMPLATE_LOCK})")).await;
        execute(&mut admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        admin.close().await.expect("the connection closes");
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_lazy(&server.url(&name))
            .expect("the address of a test database is well formed");
        Self { server, name, pool }
    }

    /// Its address, as services take it.
    #[must_use]
    pub fn args(&self) -> DatabaseArgs {
        DatabaseArgs { database_url: self.url(), database_ca: None, database_max_connections: CONNECTIONS }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// A pool on it, for what a test reads or prepares itself.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The same pool as services use it.
    #[must_use]
    pub fn database(&self) -> Database {
        Database::from_pool(self.pool.clone())
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // What cannot be dropped now is found abandoned by a later run.
            let _ = self.server.query("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

/// Migrates the template unless this process has done so. The first call of a process also removes abandoned databases.
async fn prepare_once(server: &'static Postgres, template: &str, migrator: &'static Migrator) {
    static CLEANED: OnceCell<()> = OnceCell::const_new();
    static PREPARED: Mutex<Option<HashMap<String, Arc<OnceCell<()>>>>> = Mutex::const_new(None);
    CLEANED.get_or_init(|| remove_abandoned(server)).await;
    let cell = {
        let mut prepared = PREPARED.lock().await;
        Arc::clone(prepared.get_or_insert_default().entry(template.to_owned()).or_default())
    };
    cell.get_or_init(|| prepare(server, template, migrator)).await;
}

/// Brings the template to the present schema: by migrating it, or, where a migration was edited, by making it anew.
async fn prepare(server: &'static Postgres, template: &str, migrator: &'static Migrator) {
    let mut admin = connect(&server.url("postgres")).await;
    execute(&mut admin, &format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await;
    let args = DatabaseArgs { database_url: server.url(template), database_ca: None, database_max_connections: 1 };
    let known = sqlx::query_scalar!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", template)
        .fetch_one(&mut admin)
        .await
        .expect("the catalogue can be read");
    let current = known == Some(true) && db::migrate(&args, migrator).await.is_ok();
    if !current {
        execute(&mut admin, &format!("DROP DATABASE IF EXISTS {template} WITH (FORCE)")).await;
        execute(&mut admin, &format!("CREATE DATABASE {template}")).await;
        db::migrate(&args, migrator).await.expect("the migrations apply to an empty database");
    }
    admin.close().await.expect("the connection closes");
}

async fn remove_abandoned(server: &'static Postgres) {
    let mut admin = connect(&server.url("postgres")).await;
    let names = sqlx::query_scalar!(r#"SELECT datname::text AS "name!" FROM pg_database WHERE datname LIKE 'test\_%'"#)
        .fetch_all(&mut admin)
        .await
        .expect("the catalogue can be read");
    for name in names.iter().filter(|name| backing::is_abandoned(name)) {
        execute(&mut admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    }
    admin.close().await.expect("the connection closes");
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("PostgreSQL accepts a connection")
}

/// Statements that take no parameters, about databases whose names are ours.
async fn execute(connection: &mut PgConnection, sql: &str) {
    let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
    statement.execute(connection).await.expect("PostgreSQL does as it is told");
}
