use tokio::{net::TcpListener, time::timeout};

use super::*;

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_server_that_says_nothing_keeps_no_lease() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server {
        host: "127.0.0.1".to_owned(),
        port: mute.local_addr().unwrap().port(),
        tls: Tls::Disable,
        username: "postgres".to_owned(),
        password: Password::generate().unwrap(),
        patience: Duration::from_mins(1),
    };
    let gate = Gate::open();
    let mut talk = Box::pin(gate.look(ensure(&gate, &server, &Tenancy::Whole, &[])));
    assert!(timeout(MOMENT, &mut talk).await.is_err());
    assert!(gate.is_idle());
    gate.leave();
    assert_eq!(timeout(MOMENT, talk).await.unwrap().unwrap_err(), NotLeading);
}
