//! The statements of the StoreDatabase controller against a real PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

#[path = "common/own_server.rs"]
mod own_server;

use operator::{
    Gate,
    store_database::sql::{
        self, Conflict, Identifier, Login, Mark, Outcome, Password, Seat, Server, Spare, SqlError, Tenancy, Tls,
    },
};
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};

use self::own_server::OwnServer;

/// Ample for a login on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

impl OwnServer {
    fn as_superuser(&self) -> Server {
        self.logged_in_as("postgres", "unused: this role is trusted")
    }

    fn logged_in_as(&self, username: &str, password: &str) -> Server {
        Server {
            host: "127.0.0.1".to_owned(),
            port: self.postgres.port(),
            tls: Tls::Prefer,
            username: username.to_owned(),
            password: Password::from_secret(password).unwrap(),
            patience: PATIENCE,
        }
    }

    fn sql(&self, sql: &str) -> String {
        self.postgres.query("postgres", sql).unwrap()
    }

    async fn connect(&self, login: &Login, database: &str) -> Result<PgConnection, sqlx::Error> {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.postgres.port())
            .username(login.role().as_str())
            .password(login.password.expose())
            .database(database)
            .connect()
            .await
    }
}

async fn ensure(server: &Server, tenancy: &Tenancy, logins: &[Login]) -> Result<Outcome, SqlError> {
    sql::ensure(&Gate::open(), server, tenancy, logins).await
}

async fn retire(server: &Server, tenancy: &Tenancy, login: &Login) -> Result<(), SqlError> {
    sql::retire(&Gate::open(), server, tenancy, login).await
}

async fn remove(server: &Server, tenancy: &Tenancy, names: &[Identifier]) -> Result<(), SqlError> {
    sql::remove(&Gate::open(), server, tenancy, names).await
}

fn login(name: &str) -> Login {
    Login { name: Identifier::parse(name).unwrap(), seat: Seat::First, password: Password::generate().unwrap() }
}

fn shared() -> Tenancy {
    Tenancy::Shared(mark("1"))
}

/// The mark of a resource whose data belongs to the object with this uid.
fn mark(uid: &str) -> Mark {
    Mark::new("shop", "recycled-goods", uid)
}

/// What was found of the role of a database that is not in use.
fn spare(outcome: &Outcome, login: &Login) -> Spare {
    outcome[&login.name].as_ref().unwrap().spare
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_of_our_own_each_service_gets_its_database_and_no_other() {
    let own = OwnServer::start("whole", 25510);
    let (server, logins) = (own.as_superuser(), [login("auth"), login("orders")]);

    let outcome = ensure(&server, &Tenancy::Whole, &logins).await.unwrap();
    assert!(outcome.len() == 2 && outcome.values().all(Result::is_ok), "{outcome:?}");

    let mut connection = own.connect(&logins[0], "auth").await.unwrap();
    sqlx::raw_sql("CREATE TABLE accounts (id int); CREATE EXTENSION pg_trgm").execute(&mut connection).await.unwrap();
    for foreign in ["orders", "postgres", "template1"] {
        let refused = own.connect(&logins[0], foreign).await.unwrap_err();
        assert_eq!(code(&refused), "42501", "auth entered {foreign}");
    }
    for forbidden in ["CREATE DATABASE mine", "CREATE ROLE friend"] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(forbidden)).execute(&mut connection).await.unwrap_err();
        assert_eq!(code(&refused), "42501", "auth may {forbidden}");
    }
    assert_eq!(own.sql("SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname IN ('auth', 'orders', 'postgres') AND m.roleid IN ('auth'::regrole, 'orders'::regrole)"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_changes_nothing_and_every_drift_is_undone() {
    let own = OwnServer::start("drift", 25530);
    let (server, mut auth) = (own.as_superuser(), login("auth"));
    ensure(&server, &Tenancy::Whole, std::slice::from_ref(&auth)).await.unwrap();
    let transactions = "SELECT pg_current_xact_id_if_assigned() IS NULL, txid_snapshot_xmax(txid_current_snapshot())";
    // Its workers begin transactions of their own.
    own.sql("ALTER SYSTEM SET autovacuum = off");
    own.sql("SELECT pg_reload_conf()");
    let before = own.sql(transactions);
    ensure(&server, &Tenancy::Whole, std::slice::from_ref(&auth)).await.unwrap();
    assert_eq!(own.sql(transactions), before, "a server as wanted was written to");

    own.sql("ALTER ROLE auth NOLOGIN SUPERUSER PASSWORD 'guessed'");
    own.sql("ALTER DATABASE auth OWNER TO postgres");
    own.sql("GRANT CONNECT ON DATABASE auth TO PUBLIC");
    ensure(&server, &Tenancy::Whole, std::slice::from_ref(&auth)).await.unwrap();
    own.connect(&auth, "auth").await.unwrap();
    assert_eq!(own.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'auth'"), "f");
    assert_eq!(own.sql("SELECT pg_get_userbyid(datdba), has_database_privilege('public', oid, 'CONNECT') FROM pg_database WHERE datname = 'auth'"), "auth|f");

    // The Secret was lost and made again with another password: the role follows the Secret.
    let old = auth.clone();
    auth.password = Password::generate().unwrap();
    ensure(&server, &Tenancy::Whole, std::slice::from_ref(&auth)).await.unwrap();
    own.connect(&auth, "auth").await.unwrap();
    assert_eq!(code(&own.connect(&old, "auth").await.unwrap_err()), "28P01");
    assert!(!own.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'auth'").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_shared_server_an_administrator_without_superuser_suffices_and_strangers_stay_untouched() {
    let own = OwnServer::start("shared", 25550);
    own.sql("CREATE ROLE dba LOGIN CREATEDB CREATEROLE PASSWORD 'admin'; CREATE ROLE orders LOGIN");
    own.sql("CREATE DATABASE inventory");
    let server = own.logged_in_as("dba", "admin");
    let (auth, orders, inventory) = (login("auth"), login("orders"), login("inventory"));
    let logins = [auth.clone(), orders.clone(), inventory.clone()];

    let outcome = ensure(&server, &shared(), &logins).await.unwrap();
    assert_eq!(spare(&outcome, &auth), Spare::Closed);
    assert_eq!(outcome[&orders.name], Err(Conflict::Role(orders.name.clone())));
    let taken = Conflict::Database { name: inventory.name.clone(), owner: "postgres".to_owned() };
    assert_eq!(outcome[&inventory.name], Err(taken));
    own.connect(&auth, "auth").await.unwrap();
    assert_eq!(own.sql("SELECT has_database_privilege('public', 'postgres', 'CONNECT')"), "t");

    let another = Tenancy::Shared(Mark::new("shop", "other", "1"));
    let outcome = ensure(&server, &another, std::slice::from_ref(&auth)).await.unwrap();
    assert_eq!(outcome[&auth.name], Err(Conflict::Role(auth.name.clone())), "two resources share a role");

    let names = [auth.name.clone(), orders.name.clone(), inventory.name.clone()];
    let guest = own.connect(&auth, "auth").await.unwrap();
    remove(&server, &shared(), &names).await.unwrap();
    drop(guest);
    assert_eq!(
        own.sql("SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE NOT datistemplate"),
        "inventory,postgres",
    );
    assert_eq!(
        own.sql("SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'"),
        "dba,orders,postgres"
    );
    remove(&server, &shared(), &names).await.unwrap();

    let refused = ensure(&own.logged_in_as("dba", "wrong"), &shared(), &logins).await.unwrap_err();
    assert!(matches!(&refused, SqlError::Connect(error) if code(error) == "28P01"), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_and_not_a_wait() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server {
        host: "127.0.0.1".to_owned(),
        port: unused,
        tls: Tls::Disable,
        username: "postgres".to_owned(),
        password: Password::generate().unwrap(),
        patience: PATIENCE,
    };
    let away = ensure(&server, &Tenancy::Whole, &[]).await.unwrap_err();
    assert!(matches!(away, SqlError::Connect(_)), "{away:?}");
}

/// The login that takes the place of another.
fn next(login: &Login) -> Login {
    Login { seat: login.seat.other(), password: Password::generate().unwrap(), ..login.clone() }
}

/// Returns once nothing is left of the login before: a server takes a moment to let a connection go.
async fn closed(server: &Server, tenancy: &Tenancy, login: &Login) {
    let waiting = async {
        while spare(&ensure(server, tenancy, std::slice::from_ref(login)).await.unwrap(), login) != Spare::Closed {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.unwrap();
}

async fn works(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

/// Replaces the login of `orders` twice, there and back, while clients of each work on.
async fn rotate(own: &OwnServer, server: &Server, tenancy: &Tenancy) {
    let first = login("orders");
    ensure(server, tenancy, std::slice::from_ref(&first)).await.unwrap();
    let mut old = own.connect(&first, "orders").await.unwrap();
    works(&mut old, "CREATE TABLE by_the_first (id int)").await;

    let mut before = first;
    for round in 0..2 {
        // A new login: both work, on the same tables, and what they make is the owner's.
        let after = next(&before);
        let outcome = ensure(server, tenancy, std::slice::from_ref(&after)).await.unwrap();
        assert!(matches!(spare(&outcome, &after), Spare::Open { sessions: 1.. }), "round {round}: {outcome:?}");
        let mut new = own.connect(&after, "orders").await.unwrap();
        works(&mut new, "CREATE TABLE IF NOT EXISTS by_the_second (id int); INSERT INTO by_the_first VALUES (1)").await;
        works(
            &mut old,
            "INSERT INTO by_the_second VALUES (1); ALTER TABLE by_the_second ADD COLUMN IF NOT EXISTS note text",
        )
        .await;
        own.connect(&before, "orders").await.unwrap();
        let owners = "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables WHERE tablename LIKE 'by_the_%'";
        assert_eq!(own.postgres.query("orders", owners).unwrap(), "orders");

        // The one before is closed: it is dead, the new one works on, and nothing is left to do.
        retire(server, tenancy, &after).await.unwrap();
        assert!(sqlx::raw_sql("SELECT 1").execute(&mut old).await.is_err(), "a connection of the login before works");
        assert_eq!(code(&own.connect(&before, "orders").await.unwrap_err()), "28P01");
        works(&mut new, "INSERT INTO by_the_first VALUES (2)").await;
        closed(server, tenancy, &after).await;
        own.connect(&after, "orders").await.unwrap();
        (before, old) = (after, new);
    }
    assert_eq!(own.postgres.query("orders", "SELECT count(*) FROM by_the_first").unwrap(), "4");
    remove(server, tenancy, &[before.name]).await.unwrap();
    assert_eq!(own.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'orders%'"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_password_is_replaced_both_work_and_afterwards_the_new_one_alone() {
    let own = OwnServer::start("rotation", 25570);
    own.sql("CREATE ROLE dba LOGIN CREATEDB CREATEROLE PASSWORD 'admin'");
    rotate(&own, &own.logged_in_as("dba", "admin"), &shared()).await;
    rotate(&own, &own.as_superuser(), &Tenancy::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_cut_short_is_begun_again_and_a_lost_owner_comes_back() {
    let own = OwnServer::start("cut-short", 25590);
    let (server, whole, first) = (own.as_superuser(), Tenancy::Whole, login("orders"));
    ensure(&server, &whole, std::slice::from_ref(&first)).await.unwrap();

    // The server knows a new password that never got into the Secret: the role is closed, and made again with another.
    let lost = next(&first);
    ensure(&server, &whole, std::slice::from_ref(&lost)).await.unwrap();
    let outcome = ensure(&server, &whole, std::slice::from_ref(&first)).await.unwrap();
    assert!(matches!(spare(&outcome, &first), Spare::Open { .. }), "{outcome:?}");
    retire(&server, &whole, &first).await.unwrap();
    closed(&server, &whole, &first).await;
    let second = next(&first);
    ensure(&server, &whole, std::slice::from_ref(&second)).await.unwrap();
    own.connect(&second, "orders").await.unwrap();
    assert_eq!(code(&own.connect(&lost, "orders").await.unwrap_err()), "28P01");

    // Somebody changes what makes the second role act as the owner: it is put right, also where the owner is not there.
    own.sql("REVOKE orders FROM \"orders-b\"; ALTER ROLE \"orders-b\" RESET role");
    ensure(&server, &whole, std::slice::from_ref(&second)).await.unwrap();
    own.sql("DROP DATABASE orders");
    own.sql("DROP ROLE orders");
    ensure(&server, &whole, std::slice::from_ref(&second)).await.unwrap();
    let mut connection = own.connect(&second, "orders").await.unwrap();
    works(&mut connection, "CREATE TABLE again (id int)").await;
    assert_eq!(
        own.postgres.query("orders", "SELECT tableowner FROM pg_tables WHERE tablename = 'again'").unwrap(),
        "orders"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_resources_with_one_name_the_first_keeps_its_databases_until_the_second_is_told_to_adopt_them() {
    let own = OwnServer::start("namesakes", 25610);
    own.sql("CREATE ROLE dba LOGIN CREATEDB CREATEROLE PASSWORD 'admin'");
    let server = own.logged_in_as("dba", "admin");
    let (here, there) = (login("orders"), login("orders"));
    let ensured = async |tenancy: &Tenancy, login: &Login| {
        ensure(&server, tenancy, std::slice::from_ref(login)).await.unwrap().remove(&login.name).unwrap()
    };
    ensured(&shared(), &here).await.unwrap();

    let other = Tenancy::Shared(mark("2"));
    let conflict = ensured(&other, &there).await.unwrap_err();
    assert!(matches!(&conflict, Conflict::Namesake(name, _) if *name == here.name), "{conflict:?}");
    remove(&server, &other, std::slice::from_ref(&there.name)).await.unwrap();
    own.connect(&here, "orders").await.unwrap();

    ensured(&Tenancy::Shared(mark("2").adopting(true)), &there).await.unwrap();
    own.connect(&there, "orders").await.unwrap();
    ensured(&shared(), &here).await.unwrap_err();
    remove(&server, &shared(), std::slice::from_ref(&here.name)).await.unwrap();
    own.connect(&there, "orders").await.unwrap();

    // A mark from before it named the uid belongs to whoever has the name.
    own.sql("COMMENT ON ROLE orders IS 'greencommerce.dev StoreDatabase shop/recycled-goods'");
    ensured(&shared(), &here).await.unwrap();
    own.connect(&here, "orders").await.unwrap();
    ensured(&other, &there).await.unwrap_err();
    remove(&server, &shared(), std::slice::from_ref(&here.name)).await.unwrap();
    assert_eq!(own.sql("SELECT count(*) FROM pg_database WHERE datname = 'orders'"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_made_again_is_another_and_one_that_stays_is_not() {
    let own = OwnServer::start("identity", 25630);
    own.sql("CREATE ROLE dba LOGIN CREATEDB CREATEROLE PASSWORD 'admin'");
    let server = own.logged_in_as("dba", "admin");
    let mut orders = login("orders");
    let identity = async |login: &Login| {
        let mut outcome = ensure(&server, &shared(), std::slice::from_ref(login)).await.unwrap();
        outcome.remove(&login.name).unwrap().unwrap().identity.unwrap()
    };
    let first = identity(&orders).await;
    assert!(first.split_once('/').is_some_and(|(system, oid)| !system.is_empty() && !oid.is_empty()), "{first}");
    orders = next(&orders);
    assert_eq!(identity(&orders).await, first);
    own.sql("DROP DATABASE orders WITH (FORCE)");
    assert_ne!(identity(&orders).await, first);
}
