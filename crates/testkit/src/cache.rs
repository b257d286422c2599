//! A Redis database for one test.

use devenv::backing::Redis;
use redis::AsyncCommands as _;

use crate::backing;

/// A database of its own for one test, empty at its beginning.
#[derive(Debug)]
pub struct TestCache {
    url: String,
}

impl TestCache {
    /// The next of the server's databases, emptied. Number 0 counts them.
    ///
    /// # Panics
    ///
    /// When Redis cannot be started.
    pub async fn new() -> Self {
        let server = backing::redis().await;
        let count: u32 = connection(&server.url(0)).await.incr("taken", 1).await.expect("Redis counts");
        let url = server.url(1 + count % (Redis::DATABASES - 1));
        let () =
            redis::cmd("FLUSHDB").query_async(&mut connection(&url).await).await.expect("Redis empties a database");
        Self { url }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection to it.
    ///
    /// # Panics
    ///
    /// When Redis is gone.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        connection(&self.url).await
    }
}

async fn connection(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).expect("the address of a test cache is well formed");
    client.get_multiplexed_async_connection().await.expect("Redis accepts a connection")
}
