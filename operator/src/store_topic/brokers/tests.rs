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
