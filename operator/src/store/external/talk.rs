//! The conversation with the cache: log in as the services do, and say PING.

use std::{fmt, time::Duration};

use api::Reason;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    RedisError, ServerErrorKind,
};
use tokio::time::timeout;

use crate::framework::{Context, Refused, Unreachable, converse, followed, host_in, of_cache, reach};

/// How long a cache that accepts a connection may take to answer, until its turn comes included.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Where a cache is, and how to log in.
pub(super) struct Address {
    host: String,
    port: u16,
    login: ConnectionInfo,
}

impl Address {
    /// Reads `redis://user:password@host:port/number`, as it is written in this namespace.
    pub(super) fn parse(url: &str, space: &str) -> Option<Self> {
        let login = url.trim().strip_prefix("redis://").and(url.into_connection_info().ok())?;
        let ConnectionAddr::Tcp(host, port) = login.addr() else { return None };
        let (host, port) = (host_in(space, host), *port);
        // In RESP3 the login is part of a command that servers may quote when they refuse it.
        let settings = login.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        let login = login.set_addr(ConnectionAddr::Tcp(host.clone(), port)).set_redis_settings(settings);
        Some(Self { host, port, login })
    }
}

/// As `host:port`, or `[host]:port` for an address of IPv6.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Why a cache does not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::store) enum CacheError {
    /// It is away, or says nothing.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// It is there, and does not serve now.
    #[error("the cache at {address} does not answer as Redis does: {words}")]
    Strange {
        /// Where.
        address: String,
        /// What came instead of an answer.
        words: String,
    },
    /// It does not let the services in.
    #[error("the cache at {address} refuses the login in its address: {words}")]
    LoginRefused {
        /// Where.
        address: String,
        /// Its words.
        words: String,
    },
}

impl CacheError {
    fn of(error: &RedisError, address: &Address) -> Self {
        let (address, words) = (address.to_string(), error.to_string());
        match error.kind() {
            ErrorKind::AuthenticationFailed => {
                Self::LoginRefused { address, words: "the user name or the password is wrong".to_owned() }
            }
            _ if is_about_the_login(error) => Self::LoginRefused { address, words },
            _ if error.is_io_error() => Self::Unreachable(Unreachable::Silent(address)),
            _ => Self::Strange { address, words },
        }
    }

    pub(in crate::store) fn reason(&self) -> Reason {
        match self {
            Self::Unreachable(_) | Self::Strange { .. } => Reason::CacheUnreachable,
            Self::LoginRefused { .. } => Reason::CacheLoginRefused,
        }
    }
}

/// A password that is missing, a right or a number of a database that this user may not have: of everything else time may do.
fn is_about_the_login(error: &RedisError) -> bool {
    let said = |words: &str| error.detail().is_some_and(|detail| detail.contains(words));
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoPerm) => true,
        ErrorKind::Server(_) => said("DB index") || said("uthentication"),
        ErrorKind::Extension => matches!(error.code(), Some("NOAUTH" | "WRONGPASS")),
        _ => false,
    }
}

/// Whether the cache lets in whoever has its address, and answers. The store waits for it, so it may not take long.
pub(super) async fn ask(context: &Context, address: &Address) -> Result<(), CacheError> {
    let place = address.to_string();
    reach(context, std::slice::from_ref(&place), Refused::GiveUp).await?;
    let silent = || CacheError::Unreachable(Unreachable::Silent(place.clone()));
    let talk = followed(of_cache("ping", &address.host, address.port), ping(address));
    let in_turn = timeout(PATIENCE, converse(context, &place, Box::pin(talk)));
    // Who no longer leads tells nobody.
    in_turn.await.ok().and_then(Result::ok).unwrap_or_else(|| Err(silent()))
}

async fn ping(address: &Address) -> Result<(), CacheError> {
    // How long it may take is for the caller to say.
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let answer = async {
        let client = Client::open(address.login.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("PING").query_async::<()>(&mut connection).await
    };
    answer.await.map_err(|error| CacheError::of(&error, address))
}

#[cfg(test)]
mod tests;
