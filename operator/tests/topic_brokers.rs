//! The requests of the StoreTopic controller against a real Kafka broker.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    collections::BTreeMap,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use devenv::Backing;
use operator::{
    Gate,
    store_topic::{
        brokers::{BrokerError, Brokers, Outcome},
        plan::{Action, Desired, Refusal},
    },
};

fn bootstrap() -> String {
    static SERVERS: OnceLock<String> = OnceLock::new();
    SERVERS.get_or_init(|| Backing::of_checkout().kafka().unwrap().bootstrap_servers()).clone()
}

/// A name of the test's own on a broker that everybody shares and that outlives the test.
#[expect(clippy::disallowed_methods, reason = "a name that no earlier run used")]
fn fresh(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("operator-test.{name}.{now}")
}

fn desired(partitions: u32, config: &[(&str, &str)]) -> Desired {
    let config: BTreeMap<String, String> =
        config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Desired { partitions, replicas: 1, config }
}

async fn ensure(topic: &str, desired: &Desired) -> Result<Outcome, BrokerError> {
    Brokers::new(&Gate::open(), &bootstrap()).unwrap().ensure(topic, desired).await
}

async fn delete(topic: &str) {
    Brokers::new(&Gate::open(), &bootstrap()).unwrap().delete(topic).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_created_grown_and_kept_as_described() {
    let topic = fresh("life");
    let small = desired(2, &[("retention.ms", "60000")]);

    let created = ensure(&topic, &small).await.unwrap();
    assert_eq!(created.made, [Action::Create]);
    assert_eq!((created.observed.partitions, created.observed.replicas), (2, 1));
    assert_eq!(created.observed.config, small.config);
    assert!(ensure(&topic, &small).await.unwrap().made.is_empty(), "a topic as wanted was changed");

    let grown = desired(5, &[("retention.ms", "120000"), ("cleanup.policy", "compact")]);
    let changed = ensure(&topic, &grown).await.unwrap();
    assert_eq!(changed.made, [Action::AddPartitions { total: 5 }, Action::ReplaceConfig]);
    assert_eq!(changed.observed.config, grown.config);

    let plain = ensure(&topic, &desired(5, &[])).await.unwrap();
    assert!(plain.observed.config.is_empty(), "{:?}", plain.observed.config);

    let shrunk = ensure(&topic, &desired(3, &[])).await.unwrap();
    assert_eq!(shrunk.refusals, [Refusal::FewerPartitions { have: 5, want: 3 }]);
    assert!(shrunk.made.is_empty());

    delete(&topic).await;
    delete(&topic).await;
    assert_eq!(ensure(&topic, &small).await.unwrap().made, [Action::Create], "a topic deleted by hand comes back");
    delete(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_kafka_does_not_know_are_refused() {
    let topic = fresh("refused");
    let wrong = desired(1, &[("no.such.setting", "1")]);
    let refused = ensure(&topic, &wrong).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Refused { .. }) && refused.is_final(), "{refused:?}");

    // On a topic that exists the client library hides the refusal: what is seen afterwards tells it.
    ensure(&topic, &desired(1, &[])).await.unwrap();
    let refused = ensure(&topic, &wrong).await.unwrap_err();
    assert!(matches!(&refused, BrokerError::SettingsRefused { names } if names == &["no.such.setting"]), "{refused:?}");
    delete(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_replicas_than_brokers_are_refused_but_a_broker_may_still_come() {
    let topic = fresh("replicas");
    let many = Desired { replicas: 3, ..desired(1, &[]) };
    let refused = ensure(&topic, &many).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Refused { .. }) && !refused.is_final(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_are_an_error_within_the_time_limit() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let start = Instant::now();
    let away =
        Brokers::new(&Gate::open(), &unused.to_string()).unwrap().ensure("any", &desired(1, &[])).await.unwrap_err();
    assert!(matches!(away, BrokerError::Silent(_)), "{away:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
