//! The conversation with the server: look, plan, run, and look again.

use std::{collections::BTreeMap, io::ErrorKind, time::Duration};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, error::DatabaseError, postgres::PgConnectOptions};
use tokio::task::JoinSet;
use tracing::{Instrument as _, info};

use super::{
    identifier::Identifier,
    login::{Login, Seat, Spare},
    password::{NoRandomness, Password},
    plan::{self, Conflict, Database, MAINTENANCE, MAY_LOG_IN, Observed, Role, Tenancy, Wanted},
    statement::Statement,
    tls::{Tls, TlsError},
};
use crate::framework::{Gate, NotLeading, Unreachable};

/// How long a role's login may take on a server that has let its administrator in.
const LOGIN: Duration = Duration::from_secs(5);

/// How long the whole conversation may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// Looking and changing settle in two rounds; a third is for a server that somebody else changes at the same time.
const ROUNDS: usize = 3;

/// Error codes of PostgreSQL (appendix A of its manual) that tell how a login ended.
mod code {
    pub(super) const INVALID_PASSWORD: &str = "28P01";
    pub(super) const INVALID_AUTHORIZATION: &str = "28000";
    pub(super) const DATABASE_MISSING: &str = "3D000";
    pub(super) const INSUFFICIENT_PRIVILEGE: &str = "42501";
}

/// Where a server is, and how its administrator logs in.
#[derive(Clone, Debug)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How connections to it are protected.
    pub tls: Tls,
    /// Name of the administrator: a superuser, or a role with `CREATEDB` and `CREATEROLE`.
    pub username: String,
    /// The administrator's password.
    pub password: Password,
    /// How long the administrator's login may take.
    pub patience: Duration,
}

/// Why the server could not be brought to what is wanted.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The server accepts a connection and says nothing.
    #[error(transparent)]
    Silent(Unreachable),
    /// No connection that is protected as it should be.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No connection: the server is away, or does not take this administrator.
    #[error("cannot connect to the server as its administrator")]
    Connect(#[source] sqlx::Error),
    /// The catalogue could not be read.
    #[error("cannot read the server's catalogue")]
    Observe(#[source] sqlx::Error),
    /// Whether a role's password is right could not be found out.
    #[error("cannot try the password of role {role}")]
    Probe {
        /// The role.
        role: Identifier,
        /// What happened instead of an answer.
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("cannot {statement}")]
    Run {
        /// What the statement was to do.
        statement: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// The server did not answer in time.
    #[error("the server took longer than {} seconds", DEADLINE.as_secs())]
    Deadline,
    /// After all statements had run, the server still was not as wanted.
    #[error("the server is changed by somebody else at the same time")]
    Unsettled,
    /// No verifier could be made.
    #[error("cannot make a password verifier")]
    Randomness(#[from] NoRandomness),
    /// Another process leads by now.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

impl Server {
    /// `host:port`, or `[host]:port` for an address of IPv6.
    pub(crate) fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl SqlError {
    /// Whether the server is there but does not take the administrator's name and password.
    pub fn is_login_refused(&self) -> bool {
        let Self::Connect(error) = self else {
            return false;
        };
        let code = error.as_database_error().and_then(DatabaseError::code);
        matches!(code.as_deref(), Some(code::INVALID_PASSWORD | code::INVALID_AUTHORIZATION))
    }
}

/// A database that is as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What there is of its role that is not in use.
    pub spare: Spare,
    /// Tells it from every other that has its name before or after it, as far as its server does.
    pub identity: Option<String>,
}

/// What became of each database, by name.
pub type Outcome = BTreeMap<Identifier, Result<Found, Conflict>>;

/// Makes every wanted database exist, owned by its role and closed to everybody else, and proves that each role can log
/// in. Runs no statement on a server that already is as wanted.
pub async fn ensure(gate: &Gate, server: &Server, tenancy: &Tenancy, logins: &[Login]) -> Result<Outcome, SqlError> {
    within_deadline(async {
        let mut connection = connect(server).await?;
        let outcome = settle(gate, &mut connection, server, tenancy, logins).await;
        connection.close().await.ok();
        outcome
    })
    .await
}

/// Closes the role of a database that is not in use: it has no password any more, and whoever is logged in as it is not.
pub async fn retire(gate: &Gate, server: &Server, tenancy: &Tenancy, login: &Login) -> Result<(), SqlError> {
    within_deadline(async {
        let mut connection = connect(server).await?;
        let observed = observe(&mut connection, std::slice::from_ref(&login.name)).await?;
        for statement in plan::retirement(&login.seat.other().of(&login.name), tenancy, &observed) {
            run(gate, &mut connection, &statement).await?;
        }
        connection.close().await.ok();
        Ok(())
    })
    .await
}

/// Drops those of the named databases and roles that are ours.
pub async fn remove(gate: &Gate, server: &Server, tenancy: &Tenancy, names: &[Identifier]) -> Result<(), SqlError> {
    within_deadline(async {
        let mut connection = connect(server).await?;
        let observed = observe(&mut connection, names).await?;
        for statement in plan::removal(names, tenancy, &observed) {
            run(gate, &mut connection, &statement).await?;
        }
        connection.close().await.ok();
        Ok(())
    })
    .await
}

async fn within_deadline<T>(work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or(Err(SqlError::Deadline))
}

async fn connect(server: &Server) -> Result<PgConnection, SqlError> {
    let options = options(server).username(&server.username).password(server.password.expose()).database("postgres");
    open(&options, server.patience).await.map_err(|error| match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::TimedOut => {
            SqlError::Silent(Unreachable::Silent(server.address()))
        }
        error => TlsError::of(&error, &server.host).map_or(SqlError::Connect(error), SqlError::Tls),
    })
}

fn options(server: &Server) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().host(&server.host).port(server.port);
    server
        .tls
        .ask(options)
        .application_name("greencommerce-operator")
        .options([("statement_timeout", "30s"), ("lock_timeout", "10s")])
        // Statements carry verifiers: they are logged here, by what they do.
        .disable_statement_logging()
}

/// Opens a connection, in a task of its own: while the library works at the proof of the password it gives way some 800 times,
/// and whatever it is a part of is polled as often.
async fn open(options: &PgConnectOptions, patience: Duration) -> Result<PgConnection, sqlx::Error> {
    let late = |_| sqlx::Error::Io(ErrorKind::TimedOut.into());
    let (options, mut task) = (options.clone(), JoinSet::new());
    task.spawn(async move { options.connect().await }.in_current_span());
    match tokio::time::timeout(patience, task.join_next()).await.map_err(late)? {
        Some(Ok(opened)) => opened,
        // The runtime ends.
        Some(Err(_)) | None => Err(sqlx::Error::WorkerCrashed),
    }
}

async fn settle(
    gate: &Gate,
    connection: &mut PgConnection,
    server: &Server,
    tenancy: &Tenancy,
    logins: &[Login],
) -> Result<Outcome, SqlError> {
    let names: Vec<Identifier> = logins.iter().map(|login| login.name.clone()).collect();
    for _ in 0..ROUNDS {
        let mut observed = observe(connection, &names).await?;
        for login in logins {
            if let Some(role) = observed.roles.get_mut(login.role().as_str()) {
                // A stranger's role is not knocked at, and one that may not log in is tried once it may.
                let knock = plan::is_ours(tenancy, role) && !role.wrong_attributes.contains(&MAY_LOG_IN);
                role.password_accepted = !knock || accepts(server, login).await?;
            }
        }
        let (outcome, statements) = plan_all(tenancy, logins, &observed);
        if statements.is_empty() {
            return Ok(outcome);
        }
        for statement in &statements {
            run(gate, connection, statement).await?;
        }
    }
    Err(SqlError::Unsettled)
}

/// The plans of all databases together; a conflict of one does not stop the others.
fn plan_all(tenancy: &Tenancy, logins: &[Login], observed: &Observed) -> (Outcome, Vec<Statement>) {
    let mut statements = plan::maintenance(tenancy, observed);
    let mut outcome = Outcome::new();
    for login in logins {
        let wanted = Wanted { name: login.name.clone(), seat: login.seat, password: login.password.clone() };
        let planned = plan::database(&wanted, tenancy, observed).map(|more| {
            statements.extend(more);
            let spare = plan::spare(&login.seat.other().of(&login.name), tenancy, observed);
            Found { spare, identity: plan::identity(&login.name, observed) }
        });
        outcome.insert(login.name.clone(), planned);
    }
    (outcome, statements)
}

async fn observe(connection: &mut PgConnection, names: &[Identifier]) -> Result<Observed, SqlError> {
    let roles: Vec<Identifier> =
        names.iter().flat_map(|name| [Seat::First, Seat::Second].map(|seat| seat.of(name))).collect();
    let roles: Vec<&str> = roles.iter().map(Identifier::as_str).collect();
    let mut names: Vec<&str> = names.iter().map(Identifier::as_str).collect();
    let (admin_is_superuser, system) = observe_system(connection).await.map_err(SqlError::Observe)?;
    let roles = observe_roles(connection, &roles).await.map_err(SqlError::Observe)?;
    names.extend(MAINTENANCE);
    let databases = observe_databases(connection, &names, &system).await.map_err(SqlError::Observe)?;
    Ok(Observed { admin_is_superuser, roles, databases })
}

/// Whether the administrator is a superuser, and what the server was named when it was made; empty where the administrator
/// may not ask.
async fn observe_system(connection: &mut PgConnection) -> Result<(bool, String), sqlx::Error> {
    let (superuser, may_ask): (bool, bool) = sqlx::query_as(
        "SELECT rolsuper, has_function_privilege('pg_control_system()', 'EXECUTE')
         FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !may_ask {
        return Ok((superuser, String::new()));
    }
    let system = "SELECT system_identifier::text FROM pg_control_system()";
    Ok((superuser, sqlx::query_scalar(system).fetch_one(connection).await?))
}

type RoleRow = (String, Vec<bool>, Option<String>, bool, bool, i64);

async fn observe_roles(connection: &mut PgConnection, names: &[&str]) -> Result<BTreeMap<String, Role>, sqlx::Error> {
    // Each attribute as "is it wrong", in the order of ATTRIBUTES.
    let rows: Vec<RoleRow> = sqlx::query_as(
        "SELECT r.rolname::text,
                ARRAY[NOT r.rolcanlogin, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls],
                shobj_description(r.oid, 'pg_authid'),
                pg_has_role(current_user, r.oid, 'USAGE'),
                EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.roleid
                        WHERE m.member = r.oid AND o.rolname::text || '-b' = r.rolname::text
                          AND 'role=' || o.rolname::text = ANY(r.rolconfig)),
                (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid)
         FROM pg_roles r WHERE r.rolname::text = ANY($1)",
    )
    .bind(names)
    .fetch_all(connection)
    .await?;
    let role = |(name, wrong, comment, held_by_admin, acts_as_owner, sessions): RoleRow| {
        let wrong_attributes =
            ATTRIBUTES.iter().zip(wrong).filter_map(|(attribute, wrong)| wrong.then_some(*attribute)).collect();
        (name, Role { wrong_attributes, comment, held_by_admin, acts_as_owner, sessions, password_accepted: false })
    };
    Ok(rows.into_iter().map(role).collect())
}

/// What a service's role may be, in the words of `ALTER ROLE`.
const ATTRIBUTES: [&str; 6] = [MAY_LOG_IN, "NOSUPERUSER", "NOCREATEDB", "NOCREATEROLE", "NOREPLICATION", "NOBYPASSRLS"];

async fn observe_databases(
    connection: &mut PgConnection,
    names: &[&str],
    system: &str,
) -> Result<BTreeMap<String, Database>, sqlx::Error> {
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT datname::text,
                oid::text,
                pg_get_userbyid(datdba)::text,
                has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMPORARY')
         FROM pg_database WHERE datname::text = ANY($1)",
    )
    .bind(names)
    .fetch_all(connection)
    .await?;
    let database = |(name, oid, owner, open_to_public)| {
        (name, Database { owner, open_to_public, identity: format!("{system}/{oid}") })
    };
    Ok(rows.into_iter().map(database).collect())
}

/// Whether the role logs in with the password of its Secret. A missing database or a missing right to connect comes
/// after authentication, so both prove that the password is right.
async fn accepts(server: &Server, login: &Login) -> Result<bool, SqlError> {
    let (role, database) = (login.role(), login.name.as_str());
    let options = options(server).username(role.as_str()).password(login.password.expose()).database(database);
    match open(&options, LOGIN).await {
        Ok(connection) => {
            connection.close().await.ok();
            Ok(true)
        }
        Err(error) => match error.as_database_error().and_then(DatabaseError::code).as_deref() {
            Some(code::DATABASE_MISSING | code::INSUFFICIENT_PRIVILEGE) => Ok(true),
            Some(code::INVALID_PASSWORD) => Ok(false),
            _ => Err(SqlError::Probe { role, source: error }),
        },
    }
}

/// Only the leader changes anything, and what it has begun holds back its end.
async fn run(gate: &Gate, connection: &mut PgConnection, statement: &Statement) -> Result<(), SqlError> {
    // Several commands sent as one simple query run in one transaction.
    let sql = statement.sql()?.join("; ");
    let failed = |source| SqlError::Run { statement: statement.to_string(), source };
    gate.guard(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection)).await?.map_err(failed)?;
    info!(%statement, "changed the database server");
    Ok(())
}

#[cfg(test)]
mod tests;
