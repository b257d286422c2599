//! The cache of a Store that somebody else runs: what is wrong with it is told soon, and that it is right again as soon,
//! although nothing tells the operator.

use devenv::Backing;
use kubekit::{Space, wait_until};
use serde_json::{Value, json};

use crate::{
    healing::{Door, soon},
    rounds::TWO_ROUNDS,
    setup::{cluster, program},
    story::{END, rest},
};

const GONE: (&str, &str) = ("False", "CacheUnreachable");
const REFUSED: (&str, &str) = ("False", "CacheLoginRefused");
const SERVES: (&str, &str) = ("True", "AllReady");

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_away_or_refuses_a_login_is_told_of_and_used_once_it_lets_the_store_in() {
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let (mut door, user) = (Door::closed().await, User::unknown(&space).await);
    space.apply(&address(&format!("redis://{}:right@{}/7", user.name, door.address))).await;
    space.apply(&store()).await;
    told(&space, GONE).await;

    door.open(user.server()).await;
    told(&space, REFUSED).await;
    user.is_let_in_with("right").await;
    told(&space, SERVES).await;

    rest(&space, END).await;
    door.close().await;
    told(&space, GONE).await;
    door.open(user.server()).await;
    told(&space, SERVES).await;

    for (password, condition) in [("wrong", REFUSED), ("right", SERVES)] {
        space.apply(&address(&format!("redis://{}:{password}@{}/7", user.name, door.address))).await;
        told(&space, condition).await;
    }
    space.apply(&address(&format!("redis://{}:right@{}/100000", user.name, door.address))).await;
    told(&space, REFUSED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_a_cache_no_longer_takes_is_told_of_on_the_rounds() {
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let user = User::unknown(&space).await;
    user.is_let_in_with("right").await;
    space.apply(&address(&format!("redis://{}:right@{}/7", user.name, user.server()))).await;
    space.apply(&store()).await;
    told(&space, SERVES).await;
    user.is_let_in_with("another").await;
    wait_until(TWO_ROUNDS, "the refusal to be told", || says(&space, REFUSED)).await;
}

/// A store of which nothing but the cache is looked at here: its other servers are nowhere.
fn store() -> Value {
    let (nowhere, admin) = ("127.0.0.1:9", json!({"name": "administrator"}));
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": "shop"},
        "spec": {
            "version": "1.0.0",
            "database": {"external": {"host": "127.0.0.1", "port": 9, "adminSecretRef": admin}},
            "kafka": {"external": {"bootstrapServers": nowhere}},
            "cache": {"external": {"urlSecretRef": {"name": "redis"}}},
        },
    })
}

fn address(url: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis"}, "stringData": {"url": url}})
}

async fn told(space: &Space<'_>, condition: (&str, &str)) {
    soon(&format!("the cache to be {condition:?}"), || says(space, condition)).await;
}

async fn says(space: &Space<'_>, (status, reason): (&str, &str)) -> Option<()> {
    let store = space.get("Store", "shop").await?;
    let conditions = store["status"]["conditions"].as_array()?;
    let cache = conditions.iter().find(|condition| condition["type"] == "CacheReady")?;
    (cache["status"] == status && cache["reason"] == reason).then_some(())
}

/// A user of the Redis server that all tests share.
struct User {
    name: String,
    client: redis::Client,
}

impl User {
    /// A name that the server does not know yet.
    async fn unknown(space: &Space<'_>) -> Self {
        let redis = tokio::task::spawn_blocking(|| Backing::of_checkout().redis().unwrap()).await.unwrap();
        Self { name: space.identifier(), client: redis::Client::open(redis.url(0)).unwrap() }
    }

    /// Where the server is, as `host:port`.
    fn server(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// From now on with this password and no other.
    async fn is_let_in_with(&self, password: &str) {
        let mut connection = self.client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg(&self.name).arg(&["on", "resetpass", &format!(">{password}"), "+@all"]);
        command.query_async::<()>(&mut connection).await.unwrap();
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // A test that has failed says why, whatever becomes of this.
        if let Ok(mut connection) = self.client.get_connection() {
            let _ = redis::cmd("ACL").arg("DELUSER").arg(&self.name).exec(&mut connection);
        }
    }
}
