//! The pool and its transactions.

use std::{
    ops::{Deref, DerefMut},
    time::{Duration, Instant},
};

use sqlx::{
    PgConnection, PgPool, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// Where a service's database is. One per service.
#[derive(Debug, Clone, clap::Args)]
pub struct DatabaseArgs {
    /// Address of the service's own database: `postgres://user:password@host:port/name`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Certificates (PEM) of the authorities that may have signed the database server's; they count where the address ends
    /// in `?sslmode=verify-full`
    #[arg(long, env = "DATABASE_CA", hide_env_values = true)]
    pub database_ca: Option<String>,

    /// Connections to the database this process keeps at most
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 10)]
    pub database_max_connections: u32,
}

impl DatabaseArgs {
    /// How a connection is made.
    pub(crate) fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let options: PgConnectOptions = self.database_url.parse()?;
        Ok(match &self.database_ca {
            Some(certificates) => options.ssl_root_cert_from_pem(certificates.clone().into_bytes()),
            None => options,
        })
    }
}

/// A pool of connections, which begins transactions by name.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
}

/// A transaction. Dropped without [`Transaction::commit`], it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
    name: &'static str,
    begun: Instant,
}

/// The address of the database is not one.
#[derive(Debug, thiserror::Error)]
#[error("the database address is malformed")]
pub struct ConnectError(#[source] sqlx::Error);

/// How long a request waits for a free connection before it is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

impl Database {
    /// A pool for `args`. Connections are made when they are first needed, so that a service starts while its database is
    /// away; its readiness says so.
    pub fn connect(args: &DatabaseArgs, application: &str) -> Result<Self, ConnectError> {
        let options = args.options().map_err(ConnectError)?;
        let options = options.application_name(application).options([
            ("statement_timeout", "5s"),
            ("lock_timeout", "3s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(args.database_max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(Duration::from_mins(5))
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// A database over an existing pool.
    #[must_use]
    pub const fn from_pool(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The pool, for reads that need no transaction.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins the transaction `name`; the name stands in the metrics.
    pub async fn begin(&self, name: &'static str) -> Result<Transaction, sqlx::Error> {
        let waited = Instant::now();
        let inner = self.pool.begin().await?;
        metrics::histogram!("db_pool_wait_seconds").record(waited.elapsed().as_secs_f64());
        Ok(Transaction { inner, name, begun: Instant::now() })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query_scalar!("select 1").fetch_one(&self.pool).await.map(|_| ())
    }

    /// Closes every connection, after those in use are given back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Transaction {
    /// Makes the transaction true.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.inner.commit().await?;
        metrics::histogram!("db_transaction_seconds", "transaction" => self.name)
            .record(self.begun.elapsed().as_secs_f64());
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}
