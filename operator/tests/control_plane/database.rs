//! Databases on a server of somebody else's, with the operator killed at every one of its writes.

use std::sync::{Mutex, OnceLock};

use devenv::{Backing, backing::Postgres};
use kubekit::{Lives, Space};
use serde_json::{Value, json};

use crate::{
    crash::every_crash,
    story::{Ending, Step, Story},
};

const READY: Step = Step::Ready("StoreDatabase", "green");

#[tokio::test(flavor = "multi_thread")]
async fn creating_databases_survives_a_crash_at_every_write() {
    tell("database create", |space| Story {
        before: vec![administrator()],
        steps: vec![Step::Apply(database(space, &["auth", "orders"], "Retain"))],
        end: vec![READY],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_a_database_survives_a_crash_at_every_write() {
    let ending = tell("database add", |space| Story {
        before: vec![administrator(), database(space, &["auth"], "Retain")],
        steps: vec![Step::Apply(database(space, &["auth", "orders"], "Retain"))],
        end: vec![READY],
    })
    .await;
    let secrets: Vec<&Lives> =
        ending.lives.iter().filter(|(name, _)| name.starts_with("secrets/")).map(|(_, lives)| lives).collect();
    assert_eq!(secrets, [&Lives { created: 1, deleted: 0 }; 2], "a password was made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_databases_survives_a_crash_at_every_write() {
    let ending = tell("database delete", |space| Story {
        before: vec![administrator(), database(space, &["auth"], "Delete")],
        steps: vec![Step::Delete("StoreDatabase", "green")],
        end: vec![],
    })
    .await;
    assert_eq!(ending.state.names().collect::<Vec<_>>(), ["Secret/administrator"]);
}

/// The secret of the server's administrator, as a user writes it.
pub(crate) fn administrator() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "administrator"},
        "stringData": {"username": "postgres", "password": "unused: this role is trusted"},
    })
}

/// Where the server is.
pub(crate) fn external() -> Value {
    json!({"host": "127.0.0.1", "port": postgres().port(), "adminSecretRef": {"name": "administrator"}})
}

/// Databases that no other namespace has: the server is everybody's.
fn database(space: &Space<'_>, names: &[&str], policy: &str) -> Value {
    let prefix = space.identifier();
    let databases: Vec<Value> = names.iter().map(|name| json!({"name": format!("{prefix}_{name}")})).collect();
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "green"},
        "spec": {"external": external(), "databases": databases, "deletionPolicy": policy},
    })
}

/// Tells the story with every crash, then removes from the server what it left.
async fn tell(name: &str, story: impl Fn(&Space<'_>) -> Story) -> Ending {
    let told = Mutex::new(Vec::new());
    let ending = every_crash(name, |space| {
        told.lock().unwrap().push(space.identifier());
        story(space)
    })
    .await;
    for prefix in told.into_inner().unwrap() {
        remove(&["auth", "orders"].map(|name| format!("{prefix}_{name}")));
    }
    ending
}

/// Removes databases and their roles from the server.
pub(crate) fn remove(names: &[String]) {
    for name in names {
        postgres().query("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).unwrap();
        postgres().query("postgres", &format!("DROP ROLE IF EXISTS {name}")).unwrap();
    }
}

/// The server that all tests of this checkout share.
pub(crate) fn postgres() -> &'static Postgres {
    static POSTGRES: OnceLock<Postgres> = OnceLock::new();
    POSTGRES.get_or_init(|| Backing::of_checkout().postgres().expect("PostgreSQL starts"))
}
