//! Databases on a server of somebody else's, with the operator killed at every one of its writes.

use std::sync::{Mutex, OnceLock};

use base64::Engine as _;
use devenv::{Backing, backing::Postgres};
use kubekit::{Lives, Space, eventually};
use serde_json::{Value, json};

use crate::{
    crash::every_crash,
    setup::{cluster, program},
    story::{Ending, Step, Story},
};

const READY: Step = Step::Ready("StoreDatabase", "green");

#[tokio::test(flavor = "multi_thread")]
async fn creating_databases_survives_a_crash_at_every_write() {
    tell("database create", |tenants, space| Story {
        before: vec![administrator()],
        steps: vec![Step::Apply(database(tenants, space, &["auth", "orders"], "Retain"))],
        end: vec![READY],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_a_database_survives_a_crash_at_every_write() {
    let ending = tell("database add", |tenants, space| Story {
        before: vec![administrator(), database(tenants, space, &["auth"], "Retain")],
        steps: vec![Step::Apply(database(tenants, space, &["auth", "orders"], "Retain"))],
        end: vec![READY],
    })
    .await;
    let secrets: Vec<&Lives> =
        ending.lives.iter().filter(|(name, _)| name.starts_with("secrets/")).map(|(_, lives)| lives).collect();
    assert_eq!(secrets, [&Lives { created: 1, deleted: 0 }; 2], "a password was made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_databases_survives_a_crash_at_every_write() {
    let ending = tell("database delete", |tenants, space| Story {
        before: vec![administrator(), database(tenants, space, &["auth"], "Delete")],
        steps: vec![Step::Delete("StoreDatabase", "green")],
        end: vec![],
    })
    .await;
    assert_eq!(ending.state.names().collect::<Vec<_>>(), ["Secret/administrator"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_with_prefixes_of_their_own_have_databases_of_the_same_names_on_one_server() {
    let tenants = Tenants::default();
    let cluster = cluster().await;
    let (one, other) = (cluster.space().await, cluster.space().await);
    let _operators = (one.operator(program(), None).await, other.operator(program(), None).await);
    for space in [&one, &other] {
        space.apply(&administrator()).await;
        space.apply(&database(&tenants, space, &["auth"], "Delete")).await;
    }
    for space in [&one, &other] {
        space.ready("StoreDatabase", "green").await;
        let status = &space.get("StoreDatabase", "green").await.unwrap()["status"]["databases"][0];
        assert_eq!((&status["name"], &status["secretName"]), (&json!("auth"), &json!("green-auth-database")));
    }
    let databases = |space: &Space<'_>| on_server("pg_database", "datname", &format!("{}_", space.identifier()));
    assert_eq!(databases(&one), [format!("{}_auth", one.identifier())]);

    one.delete("StoreDatabase", "green").await;
    eventually("the resource to be gone", || async { one.get("StoreDatabase", "green").await.is_none() }).await;
    assert_eq!(databases(&one), Vec::<String>::new());
    assert_eq!(databases(&other), [format!("{}_auth", other.identifier())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_a_resource_that_was_deleted_are_taken_up_only_when_that_is_asked_for() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    space.apply(&administrator()).await;
    let green = database(&tenants, &space, &["auth"], "Retain");
    space.apply(&green).await;
    space.ready("StoreDatabase", "green").await;
    space.delete("StoreDatabase", "green").await;
    eventually("the resource to be gone", || async { space.get("StoreDatabase", "green").await.is_none() }).await;

    space.apply(&green).await;
    eventually("the role to be told as another's", || async {
        let object = space.get("StoreDatabase", "green").await.unwrap_or_default();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["reason"] == "NameTaken")
    })
    .await;
    space.edit("StoreDatabase", "green", &json!({"spec": {"adoptRetainedData": true}})).await;
    space.ready("StoreDatabase", "green").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_secret_that_is_deleted_comes_back_with_the_other_role_and_the_lost_one_is_closed() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    space.apply(&administrator()).await;
    space.apply(&database(&tenants, &space, &["auth"], "Delete")).await;
    space.ready("StoreDatabase", "green").await;
    let (lost, other) = (format!("{}_auth", space.identifier()), format!("{}_auth-b", space.identifier()));
    let encoded = base64::engine::general_purpose::STANDARD.encode(&lost);
    eventually("the login of the other role", || async {
        // Who has just read it puts it back as it was, and nothing is lost.
        let secret = space.get("Secret", "green-auth-database").await;
        if secret.is_some_and(|secret| secret["data"]["username"] == encoded.as_str()) {
            space.delete("Secret", "green-auth-database").await;
        }
        let object = space.get("StoreDatabase", "green").await.unwrap_or_default();
        object["status"]["databases"][0]["username"] == other.as_str()
    })
    .await;
    let may_log_in = format!("SELECT rolcanlogin FROM pg_roles WHERE rolname = '{lost}'");
    eventually("the lost login to be closed", || async { postgres().query("postgres", &may_log_in).unwrap() == "f" })
        .await;
    space.ready("StoreDatabase", "green").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_older_than_its_interval_is_replaced_by_itself() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    space.apply(&administrator()).await;
    let mut database = database(&tenants, &space, &["auth"], "Delete");
    database["spec"]["passwordRotation"] = json!({"interval": "1h"});
    space.apply(&database).await;
    space.ready("StoreDatabase", "green").await;
    let login = async || space.get("Secret", "green-auth-database").await.unwrap()["data"].clone();
    let young = login().await;
    // Nothing is due yet.
    space.edit("StoreDatabase", "green", &json!({"metadata": {"labels": {"example.com/note": "look"}}})).await;
    space.ready("StoreDatabase", "green").await;
    assert_eq!(login().await, young);

    // An hour passes, as far as its Secret says.
    let old = json!({"metadata": {"annotations": {"greencommerce.dev/rotated-at": "2026-01-01T00:00:00Z"}}});
    space.edit("Secret", "green-auth-database", &old).await;

    let other = format!("{}_auth-b", space.identifier());
    eventually("the other role to be in use and the one before to be closed", || async {
        let object = space.get("StoreDatabase", "green").await.unwrap_or_default();
        object["status"]["databases"][0]["username"] == other.as_str()
            && space.says("StoreDatabase", "green", "Rotating", false).await
    })
    .await;
    let (user, password) = (&login().await["username"], &login().await["password"]);
    assert_ne!((user, password), (&young["username"], &young["password"]));
    // It was once: the next is due in an hour.
    let rotated = space.get("Secret", "green-auth-database").await.unwrap();
    let at: jiff::Timestamp =
        rotated["metadata"]["annotations"]["greencommerce.dev/rotated-at"].as_str().unwrap().parse().unwrap();
    assert!(at > "2026-01-01T00:00:00Z".parse().unwrap());
}

/// The secret of the server's administrator, as a user writes it.
pub(crate) fn administrator() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "administrator"},
        "stringData": {"username": "postgres", "password": "unused: this role is trusted"},
    })
}

/// Those who have databases on the server, which is everybody's. Their databases go when this does.
#[derive(Default)]
pub(crate) struct Tenants(Mutex<Vec<String>>);

impl Tenants {
    /// Where the server is, for resources of a namespace. The names of its databases there begin with its own.
    pub(crate) fn external(&self, space: &Space<'_>) -> Value {
        let prefix = format!("{}_", space.identifier());
        self.0.lock().unwrap().push(prefix.clone());
        let port = postgres().port();
        let login = json!({"name": "administrator"});
        json!({"host": "127.0.0.1", "port": port, "adminSecretRef": login, "databasePrefix": prefix})
    }
}

impl Drop for Tenants {
    fn drop(&mut self) {
        for prefix in self.0.lock().unwrap().iter() {
            remove("DATABASE", &on_server("pg_database", "datname", prefix), "WITH (FORCE)");
            remove("ROLE", &on_server("pg_roles", "rolname", prefix), "");
        }
    }
}

/// What the server has that is named like this.
fn on_server(table: &str, column: &str, prefix: &str) -> Vec<String> {
    let found = format!("SELECT {column} FROM {table} WHERE starts_with({column}, '{prefix}') ORDER BY 1");
    postgres().query("postgres", &found).unwrap().lines().map(str::to_owned).collect()
}

fn remove(what: &str, names: &[String], how: &str) {
    for name in names {
        postgres().query("postgres", &format!("DROP {what} IF EXISTS \"{name}\" {how}")).unwrap();
    }
}

/// A resource with these databases.
pub(crate) fn database(tenants: &Tenants, space: &Space<'_>, names: &[&str], policy: &str) -> Value {
    let databases: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "green"},
        "spec": {"external": tenants.external(space), "databases": databases, "deletionPolicy": policy},
    })
}

/// Tells the story with every crash.
async fn tell(name: &str, story: impl Fn(&Tenants, &Space<'_>) -> Story) -> Ending {
    let tenants = Tenants::default();
    every_crash(name, |space| story(&tenants, space)).await
}

/// The server that all tests of this checkout share.
pub(crate) fn postgres() -> &'static Postgres {
    static POSTGRES: OnceLock<Postgres> = OnceLock::new();
    POSTGRES.get_or_init(|| Backing::of_checkout().postgres().expect("PostgreSQL starts"))
}
