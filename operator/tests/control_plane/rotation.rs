//! Passwords of several databases are replaced with the operator killed before and after every one of its writes: after one,
//! nothing that would come next has happened, such as the end of the login before; before one, the server knows of a login
//! that no Secret holds.

use api::ANNOTATION_ROTATE;
use kubekit::{Crash, Space};
use serde_json::{Value, json};

use crate::{
    crash::Scene,
    database::administrator,
    servers::{Lent, Servers},
    story::{Step, Story},
    there_and_back::{Way, every_crash_there_and_back},
};

const ROTATING: Step = Step::Says("StoreDatabase", "green", "Rotating");
const OVER: Step = Step::SaysNo("StoreDatabase", "green", "Rotating");

#[tokio::test(flavor = "multi_thread")]
async fn replacing_the_passwords_of_two_databases_survives_a_crash_after_every_write() {
    rotates("rotate two, after", Crash::Unanswered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_the_passwords_of_two_databases_survives_a_crash_before_every_write() {
    rotates("rotate two, before", Crash::Undone).await;
}

async fn rotates(name: &str, kind: fn(u32) -> Crash) {
    let scene = async |space: &Space<'_>| {
        let server = Servers::running().await.lend("green", space).await;
        let before = vec![administrator(), database(&server, "none")];
        Scene { story: Story { before, steps: vec![], end: vec![] }, server: Some(server), topic: None }
    };
    let ways = every_crash_there_and_back(name, &[kind], scene, |scene| {
        let server = scene.server.as_ref().unwrap();
        ["one", "another"]
            .map(|request| Way { change: Step::Apply(database(server, request)), end: vec![ROTATING, OVER] })
    })
    .await;
    for (way, seat) in ways.iter().zip(["-b", ""]) {
        for name in ["auth", "orders"] {
            let enters = format!("green-{name}-database: {name}{seat} enters {name}: true");
            assert!(way.facts.contains(&enters), "{}", way.facts);
            assert_eq!(way.secrets[&format!("green-{name}-database")], 1);
        }
    }
}

/// Two databases, whose passwords are replaced once for each request.
fn database(server: &Lent, request: &str) -> Value {
    let external = json!({"host": "127.0.0.1", "port": server.port(), "adminSecretRef": {"name": "administrator"}});
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
        "metadata": {"name": "green", "annotations": {ANNOTATION_ROTATE: request}},
        "spec": {"external": external, "databases": [{"name": "auth"}, {"name": "orders"}]},
    })
}
