//! Carts in Redis: a hash for each customer, from variant to units. Whatever reads and writes is a script, which Redis runs
//! as one step. The keys of a customer share a hash tag, so that they stay together on a cluster.
//!
//! A hash of at most a hundred small fields keeps the order in which they were added (it is a `listpack`), which is the
//! order that customers see.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncCommands, Client, RedisError, RedisResult, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use types::{EventId, Quantity, UserId, VariantId};
use uuid::Uuid;

use crate::domain::{Line, MOST_LINES};

/// How long a cart that nobody touches is kept.
const CART_LIFE: Duration = Duration::from_hours(30 * 24);
/// How long an event is remembered: longer than Kafka keeps it.
const INBOX_LIFE: Duration = Duration::from_hours(30 * 24);
/// How long an `Idempotency-Key` is remembered.
const KEY_LIFE: Duration = Duration::from_hours(24);

/// The carts of all customers.
#[derive(Clone)]
pub(crate) struct Carts {
    connection: ConnectionManager,
    scripts: Arc<Scripts>,
}

struct Scripts {
    add: Script,
    set: Script,
    take: Script,
}

/// What became of an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is in the cart, by this request or by an earlier one with the same key.
    Done,
    /// The cart has as many lines as it may have.
    TooManyLines,
    /// The line would have more units than one may have.
    TooManyUnits,
    /// The key was used for another request.
    KeyReused,
}

/// The request of an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    /// The key, within the customer.
    pub(crate) key: String,
    /// What the request asks.
    pub(crate) hash: String,
}

impl Carts {
    /// The carts on the server at `url`. It connects when it is first used, and again when the connection is lost.
    pub(crate) fn connect(url: &str) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(Duration::from_secs(1)))
            .set_number_of_retries(2)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
        let scripts = Scripts {
            add: Script::new(include_str!("scripts/add.lua")),
            set: Script::new(include_str!("scripts/set.lua")),
            take: Script::new(include_str!("scripts/take.lua")),
        };
        Ok(Self { connection, scripts: Arc::new(scripts) })
    }

    /// Whether the server answers.
    pub(crate) async fn ping(&self) -> RedisResult<()> {
        redis::cmd("PING").query_async(&mut self.connection.clone()).await
    }

    /// What `customer` has in the cart, in the order it was added.
    pub(crate) async fn read(&self, customer: UserId) -> RedisResult<Vec<Line>> {
        let fields: Vec<(String, i64)> = self.connection.clone().hgetall(cart_key(customer)).await?;
        fields.into_iter().map(|(variant, units)| line(&variant, units)).collect()
    }

    /// Adds `line` to what is there.
    pub(crate) async fn add(&self, customer: UserId, line: Line, keyed: Option<&Keyed>) -> RedisResult<Added> {
        let (key, hash) = keyed.map_or(("", ""), |keyed| (&keyed.key, &keyed.hash));
        let outcome: String = self
            .scripts
            .add
            .key(cart_key(customer))
            .key(format!("{}:key:{key}", cart_key(customer)))
            .arg(line.variant_id.to_string())
            .arg(line.quantity.get())
            .arg(MOST_LINES)
            .arg(Quantity::MAX)
            .arg(CART_LIFE.as_secs())
            .arg(hash)
            .arg(KEY_LIFE.as_secs())
            .invoke_async(&mut self.connection.clone())
            .await?;
        match outcome.as_str() {
            "done" => Ok(Added::Done),
            "too_many_lines" => Ok(Added::TooManyLines),
            "too_many_units" => Ok(Added::TooManyUnits),
            "key_reused" => Ok(Added::KeyReused),
            _ => Err(unexpected("the script answered with an unknown word")),
        }
    }

    /// Sets the units of a line. False where the cart has no such line.
    pub(crate) async fn set(&self, customer: UserId, line: Line) -> RedisResult<bool> {
        self.scripts
            .set
            .key(cart_key(customer))
            .arg(line.variant_id.to_string())
            .arg(line.quantity.get())
            .arg(CART_LIFE.as_secs())
            .invoke_async(&mut self.connection.clone())
            .await
    }

    /// Takes a line out, if it is there.
    pub(crate) async fn remove(&self, customer: UserId, variant: VariantId) -> RedisResult<()> {
        self.connection.clone().hdel(cart_key(customer), variant.to_string()).await
    }

    /// Takes every line out.
    pub(crate) async fn clear(&self, customer: UserId) -> RedisResult<()> {
        self.connection.clone().del(cart_key(customer)).await
    }

    /// Takes the units of `lines` out, once for the event. False where it was done before.
    pub(crate) async fn take_ordered(&self, customer: UserId, event: EventId, lines: &[Line]) -> RedisResult<bool> {
        let mut script = self.scripts.take.prepare_invoke();
        script.key(cart_key(customer)).key(format!("{}:taken:{event}", cart_key(customer)));
        script.arg(INBOX_LIFE.as_secs());
        for line in lines {
            script.arg(line.variant_id.to_string()).arg(line.quantity.get());
        }
        script.invoke_async(&mut self.connection.clone()).await
    }
}

fn cart_key(customer: UserId) -> String {
    format!("cart:{{{customer}}}")
}

fn line(variant: &str, units: i64) -> RedisResult<Line> {
    let variant = Uuid::parse_str(variant).map_err(|_| unexpected("a field of a cart is no variant"))?;
    let quantity = Quantity::try_from(units).map_err(|_| unexpected("a value of a cart is no quantity"))?;
    Ok(Line { variant_id: VariantId::from_uuid(variant), quantity })
}

fn unexpected(what: &'static str) -> RedisError {
    (redis::ErrorKind::UnexpectedReturnType, what).into()
}
