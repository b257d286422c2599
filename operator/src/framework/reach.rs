//! Knocking at a server of somebody else's before anything heavier is tried.

use std::{collections::BTreeMap, io::ErrorKind, net::SocketAddr, time::Duration};

use api::{ConditionType, Reason, Status};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, sleep, timeout_at},
};

use super::{
    Context,
    telemetry::{followed, of_knock},
};

/// How long a server may take to accept a connection, the look-up of its name included.
const ACCEPT: Duration = Duration::from_secs(1);

/// How long a server that nothing has been told of may take to answer: if it does not, that is told soon.
const ANSWER: Duration = Duration::from_millis(1500);

/// How long one may take that has served, or is known not to answer.
const PATIENT: Duration = Duration::from_secs(5);

/// Between two attempts at a server that refuses connections.
const PAUSE: Duration = Duration::from_millis(200);

/// No connection. The words are the same from attempt to attempt as long as the cause is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The name has no address.
    #[error("no address can be found for {0}")]
    Unknown(String),
    /// The host is there, the server is not.
    #[error("nothing listens at {0}")]
    Refused(String),
    /// Whatever is there keeps silent: it accepts no connection, or accepts it and says nothing. Which of them comes may
    /// vary with how busy it is.
    #[error("no answer from {0}")]
    Silent(String),
}

/// What to do about a server that refuses connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Give up at once.
    GiveUp,
    /// Try again for a moment: a Service reaches its Pod a moment after the Pod is ready.
    TryAgain,
}

/// Whether any of the addresses (`host:port`) accepts a connection. Others may work meanwhile.
pub(crate) async fn reach(context: &Context, addresses: &[String], refused: Refused) -> Result<(), Unreachable> {
    context.slot.outside(followed(of_knock(addresses), any(addresses, refused))).await
}

/// Whether any of the addresses, with commas between them, accepts a connection.
pub(super) async fn opens(addresses: &str) -> bool {
    let addresses: Vec<String> = addresses.split(',').map(str::to_owned).collect();
    any(&addresses, Refused::GiveUp).await.is_ok()
}

/// The first that accepts will do. If none does, the failure of the one that is named first is told, unless some keep
/// silent: they might have accepted a moment before or after, and would then be told of together.
async fn any(addresses: &[String], refused: Refused) -> Result<(), Unreachable> {
    let knock = async |(place, address): (usize, &String)| (place, knock(address, refused).await);
    let mut attempts: FuturesUnordered<_> = addresses.iter().enumerate().map(knock).collect();
    let mut failures = BTreeMap::new();
    while let Some((place, result)) = attempts.next().await {
        match result {
            Ok(()) => return Ok(()),
            Err(failure) => failures.insert(place, failure),
        };
    }
    if failures.values().any(|failure| matches!(failure, Unreachable::Silent(_))) {
        return Err(Unreachable::Silent(addresses.join(",")));
    }
    failures.into_values().next().map_or(Ok(()), Err)
}

async fn knock(address: &str, refused: Refused) -> Result<(), Unreachable> {
    let deadline = Instant::now() + ACCEPT;
    let Ok(Ok(found)) = timeout_at(deadline, lookup_host(address)).await else {
        return Err(Unreachable::Unknown(address.to_owned()));
    };
    let found: Vec<SocketAddr> = found.collect();
    loop {
        match timeout_at(deadline, TcpStream::connect(found.as_slice())).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                if refused == Refused::GiveUp || Instant::now() + PAUSE >= deadline {
                    return Err(Unreachable::Refused(address.to_owned()));
                }
            }
            // No route, a router's complaint, nothing at all: which of them comes may vary.
            Ok(Err(_)) | Err(_) => return Err(Unreachable::Silent(address.to_owned())),
        }
        sleep(PAUSE).await;
    }
}

/// How long a server may take to answer, by what the status says of it.
pub(crate) fn patience<S: Status>(status: Option<&S>, condition: ConditionType, unreachable: Reason) -> Duration {
    let told = status.and_then(|status| status.condition(condition.as_str()));
    let known = told.is_some_and(|told| told.status == "True" || told.reason == unreachable.as_str());
    if known { PATIENT } else { ANSWER }
}

#[cfg(test)]
mod tests {
    use api::StoreDatabaseStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
    use serde_json::json;
    use tokio::{
        net::{TcpListener, TcpSocket},
        time::timeout,
    };

    use super::*;

    /// An address where nothing listens.
    async fn nobody() -> String {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
    }

    #[tokio::test]
    async fn one_address_that_accepts_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap().to_string();
        assert_eq!(any(&[nobody().await, there], Refused::GiveUp).await, Ok(()));
    }

    #[tokio::test]
    async fn a_refusal_is_told_at_once_and_of_the_address_named_first() {
        let (first, second, started) = (nobody().await, nobody().await, Instant::now());
        let refused = any(&[first.clone(), second], Refused::GiveUp).await;
        assert_eq!(refused, Err(Unreachable::Refused(first)));
        assert!(started.elapsed() < ACCEPT / 2);
    }

    #[tokio::test]
    async fn a_server_that_comes_a_moment_later_is_met_by_who_tries_again() {
        let address = nobody().await;
        let come = async {
            sleep(PAUSE).await;
            TcpListener::bind(&address).await.unwrap()
        };
        let addresses = [address.clone()];
        let (met, _listener) = tokio::join!(any(&addresses, Refused::TryAgain), come);
        assert_eq!(met, Ok(()));
    }

    #[tokio::test]
    async fn silence_is_waited_for_only_so_long() {
        // A listener that accepts nobody, with no room for who waits.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let _waiting = futures::future::join_all((0..4).map(|_| timeout(PAUSE, TcpStream::connect(address)))).await;
        let started = Instant::now();
        let silent = any(&[address.to_string()], Refused::TryAgain).await;
        assert_eq!(silent, Err(Unreachable::Silent(address.to_string())));
        assert!(started.elapsed() >= ACCEPT && started.elapsed() < ACCEPT * 2);
        let (away, address) = (nobody().await, address.to_string());
        let together = any(&[away.clone(), address.clone()], Refused::GiveUp).await;
        assert_eq!(together, Err(Unreachable::Silent(format!("{away},{address}"))));
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_said_to_be_one() {
        let unknown = any(&["no-such-host.invalid:5432".to_owned()], Refused::GiveUp).await;
        assert_eq!(unknown, Err(Unreachable::Unknown("no-such-host.invalid:5432".to_owned())));
    }

    #[test]
    fn silence_is_told_soon_and_waited_for_longer_once_it_is_told() {
        let patience = |status: Option<(&str, &str)>| {
            let status = status.map(|(status, reason)| StoreDatabaseStatus {
                conditions: vec![
                    serde_json::from_value::<Condition>(json!({
                        "type": "ServerReady", "status": status, "reason": reason, "message": "",
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                    }))
                    .unwrap(),
                ],
                ..StoreDatabaseStatus::default()
            });
            patience(status.as_ref(), ConditionType::ServerReady, Reason::DatabaseUnreachable)
        };
        assert_eq!(patience(None), ANSWER);
        assert_eq!(patience(Some(("False", "PodsStarting"))), ANSWER);
        assert_eq!(patience(Some(("False", "DatabaseUnreachable"))), PATIENT);
        assert_eq!(patience(Some(("True", "AllReady"))), PATIENT);
    }
}
