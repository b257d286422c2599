use rdkafka::mocking::MockCluster;
use tokio::{net::TcpListener, time::timeout};

use super::*;

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn brokers_that_say_nothing_keep_no_lease() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = Gate::open();
    let brokers = Brokers::new(&gate, &mute.local_addr().unwrap().to_string()).unwrap();
    let desired = Desired { partitions: 1, replicas: 1, config: BTreeMap::new() };
    // The library's thread is waited for when the test ends.
    let mut talk = Box::pin(gate.look(brokers.patient_for(MOMENT * 5).ensure("orders", &desired)));
    assert!(timeout(MOMENT, &mut talk).await.is_err());
    assert!(gate.is_idle());
    gate.leave();
    assert_eq!(timeout(MOMENT, talk).await.unwrap().unwrap_err(), NotLeading);
}

#[test]
fn silence_is_told_in_the_same_words_whichever_clock_runs_out() {
    use RDKafkaErrorCode::{Authentication, BrokerTransportFailure, OperationTimedOut};
    let told = |code| unreachable("kafka:9092", KafkaError::MetadataFetch(code));
    let words = |error: BrokerError| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        (error.to_string(), source)
    };
    let silence = words(BrokerError::Silent(Unreachable::Silent("kafka:9092".to_owned())));
    assert_eq!(words(told(BrokerTransportFailure)), silence);
    assert_eq!(words(told(OperationTimedOut)), silence);
    let (message, source) = words(told(Authentication));
    assert_eq!(message, "no broker answers at kafka:9092");
    assert!(source.is_some_and(|source| source.contains("Authentication")));
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_a_topic_does_not_make_it_where_brokers_make_topics_by_themselves() {
    let cluster = MockCluster::new(1).unwrap();
    // What is asked for the first time might be made and told of the next time.
    for _ in 0..2 {
        let brokers = Brokers::new(&Gate::open(), &cluster.bootstrap_servers()).unwrap();
        assert_eq!(brokers.look(&["orders".to_owned()]).await.unwrap(), BTreeMap::new());
    }
}
