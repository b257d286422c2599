//! A database server that the operator runs, made and deleted with the operator killed before and after every one of its
//! writes. It never starts, as nothing runs here: what is made on a server that serves, others tell.

use kubekit::{Lives, Space};
use serde_json::json;

use crate::{
    crash::{BOTH, Scene},
    story::{Step, Story},
    there_and_back::{Way, every_crash_there_and_back},
};

const SUPERUSER: &str = "green-postgres-superuser";

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_server_is_made_and_goes_with_its_data_at_whatever_write_the_operator_crashes() {
    let nothing = async |_: &Space<'_>| Scene {
        story: Story { before: vec![], steps: vec![], end: vec![] },
        server: None,
        topic: None,
    };
    let [there, back] = every_crash_there_and_back("managed database", BOTH, nothing, |_| {
        let database = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "green"},
            "spec": {
                "managed": {"image": "registry.example/postgres:broken"}, "deletionPolicy": "Delete",
                "databases": [{"name": "auth"}, {"name": "orders"}],
            },
        });
        let made = Step::Says("StoreDatabase", "green", "StorageReady");
        let goes = Way { change: Step::Delete("StoreDatabase", "green"), end: vec![] };
        [Way { change: Step::Apply(database), end: vec![made] }, goes]
    })
    .await;
    assert!(there.lives.values().all(|lives| *lives == Lives { created: 1, deleted: 0 }), "{:?}", there.lives);
    // Who begins to use a password has it for ever: it is written once, whatever happens.
    let once = [SUPERUSER, "green-auth-database", "green-orders-database"].map(|name| (name.to_owned(), 1));
    assert_eq!(there.secrets, once.into());
    assert!(back.state.is_empty(), "{:?}", back.state);
}
