//! PostgreSQL servers that a story has to itself: the databases of a Store have the same names in every namespace.

#![expect(
    clippy::disallowed_methods,
    reason = "what is asked of is the server's own, of which there is no schema here"
)]

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicUsize, Ordering},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt, api::ListParams};
use kubekit::Space;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _, postgres::PgConnectOptions};
use tokio::sync::Semaphore;

use crate::own_server::OwnServer;

/// As many stories of stores are told at the same time.
const NUMBER: u16 = 4;
const FIRST_PORT: u16 = 25700;

/// What a server holds, a line each.
const FACTS: &str = "SELECT format('role %s: may log in %s, has a password %s', rolname, rolcanlogin, rolpassword IS NOT NULL)
    FROM pg_authid WHERE rolname !~ '^pg_'
    UNION ALL SELECT format('database %s of %s', datname, pg_get_userbyid(datdba)) FROM pg_database WHERE NOT datistemplate
    ORDER BY 1";
/// Statements that make the roles of the story before those of another StoreDatabase. The databases that every store has
/// stay: to make them takes longer than all else of a new store. Those of guests go.
const HANDING_OVER: &str = "SELECT statement FROM (
    SELECT 0, format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
        WHERE NOT datistemplate AND datname !~ '^(postgres|auth|catalog|inventory|orders)$'
    UNION ALL SELECT 1, format('DROP ROLE %I', rolname) FROM pg_roles
        WHERE rolname !~ '^(pg_.*|postgres|auth|catalog|inventory|orders)$'
    UNION ALL SELECT 2, format('COMMENT ON ROLE %I IS %L', rolname, $1) FROM pg_roles
        WHERE rolname ~ '^(auth|catalog|inventory|orders)$'
    ) AS statements(turn, statement) ORDER BY turn";

/// The servers, started for the first story that needs one and ended after the last.
pub(crate) struct Servers {
    free: Mutex<Vec<OwnServer>>,
    turns: Semaphore,
}

/// A server for one story.
pub(crate) struct Lent {
    server: Option<OwnServer>,
    all: Arc<Servers>,
}

impl Servers {
    pub(crate) async fn running() -> Arc<Self> {
        static RUNNING: tokio::sync::Mutex<Weak<Servers>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut running = RUNNING.lock().await;
        if let Some(servers) = running.upgrade() {
            return servers;
        }
        let started = tokio::task::spawn_blocking(|| Arc::new(Self::start())).await.unwrap();
        *running = Arc::downgrade(&started);
        started
    }

    /// Those of before may still be ending, so these have other names.
    fn start() -> Self {
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        let time = TIMES.fetch_add(1, Ordering::Relaxed);
        let one = |number: u16| OwnServer::start(&format!("store-{time}-{number}"), FIRST_PORT + 20 * number);
        let free = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..NUMBER).map(|number| scope.spawn(move || one(number))).collect();
            starting.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        Self { free: Mutex::new(free), turns: Semaphore::new(usize::from(NUMBER)) }
    }

    /// Waits for its turn.
    pub(crate) async fn lend(self: &Arc<Self>, store: &str, space: &Space<'_>) -> Lent {
        self.turns.acquire().await.unwrap().forget();
        let server = self.free.lock().unwrap().pop();
        let lent = Lent { server, all: self.clone() };
        lent.hand_over(&format!("greencommerce.dev StoreDatabase {}/{store}", space.name())).await;
        space.hide_port(lent.port());
        lent
    }
}

impl Lent {
    pub(crate) fn port(&self) -> u16 {
        self.server.as_ref().unwrap().postgres.port()
    }

    /// What is on the server, and who of those that the Secrets of `space` name can log in.
    pub(crate) async fn facts(&self, space: &Space<'_>) -> String {
        let mut connection = self.connect("postgres", "", "postgres").await.unwrap();
        let rows = sqlx::query(FACTS).fetch_all(&mut connection).await.unwrap();
        let mut facts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        for secret in space.api::<Secret>().list(&ListParams::default()).await.unwrap() {
            let data = secret.data.clone().unwrap_or_default();
            let text = |key: &str| data.get(key).map(|held| String::from_utf8(held.0.clone()).unwrap());
            if let (Some(username), Some(password), Some(database)) =
                (text("username"), text("password"), text("database"))
            {
                let enters = self.connect(&username, &password, &database).await.is_ok();
                facts.push(format!("{}: {username} enters {database}: {enters}", secret.name_any()));
            }
        }
        facts.join("\n")
    }

    async fn hand_over(&self, mark: &str) {
        let mut connection = self.connect("postgres", "", "postgres").await.unwrap();
        let rows = sqlx::query(HANDING_OVER).bind(mark).fetch_all(&mut connection).await.unwrap();
        for row in rows {
            sqlx::query(AssertSqlSafe(row.get::<String, _>(0))).execute(&mut connection).await.unwrap();
        }
    }

    async fn connect(&self, username: &str, password: &str, database: &str) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port());
        options.username(username).password(password).database(database).connect().await
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.all.free.lock().unwrap().extend(self.server.take());
        self.all.turns.add_permits(1);
    }
}
