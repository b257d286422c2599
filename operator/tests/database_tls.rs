//! TLS between the StoreDatabase controller and a real PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

#[path = "common/own_server.rs"]
mod own_server;

use devenv::Authority;
use operator::{
    Gate,
    store_database::sql::{
        self, Authorities, Identifier, Login, Password, Seat, Server, SqlError, Tenancy, Tls, TlsError,
    },
};

use self::own_server::OwnServer;

/// Ample for a login on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes a database with a login, and drops it again.
async fn works(own: &OwnServer, host: &str, tls: &Tls) -> Result<(), SqlError> {
    let server = Server {
        host: host.to_owned(),
        port: own.postgres.port(),
        tls: tls.clone(),
        username: "postgres".to_owned(),
        password: Password::from_secret("unused: this role is trusted").unwrap(),
        patience: PATIENCE,
    };
    let (gate, name) = (Gate::open(), Identifier::parse("orders").unwrap());
    let login = Login { name: name.clone(), seat: Seat::First, password: Password::generate().unwrap() };
    sql::ensure(&gate, &server, &Tenancy::Whole, std::slice::from_ref(&login)).await?;
    sql::remove(&gate, &server, &Tenancy::Whole, &[name]).await
}

async fn refused(own: &OwnServer, host: &str, tls: &Tls) -> String {
    let why = works(own, host, tls).await.unwrap_err();
    assert!(matches!(why, SqlError::Tls(TlsError::Certificate(_))), "{why:?}");
    why.to_string()
}

fn trusting(authorities: &[&Authority]) -> Tls {
    let pem: String = authorities.iter().map(|authority| authority.pem()).collect();
    Tls::VerifyFull(Authorities::parse(pem.as_bytes()).unwrap())
}

/// Lets in nobody without TLS.
fn insist(own: &OwnServer) {
    let rules = "ARRAY['hostssl all postgres 127.0.0.1/32 trust', 'hostssl all all 127.0.0.1/32 scram-sha-256']";
    let file = own.postgres.query("postgres", "SHOW hba_file").unwrap();
    own.postgres.query("postgres", &format!("COPY (SELECT unnest({rules})) TO '{file}'")).unwrap();
    own.postgres.query("postgres", "SELECT pg_reload_conf()").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_verified_by_the_authorities_that_are_named_and_by_its_name() {
    let own = OwnServer::start("tls", 25650);
    let (ours, foreign, namesake) = (Authority::new("ours"), Authority::new("foreign"), Authority::new("ours"));
    own.postgres.speak_tls(&ours.certify(&["localhost"])).unwrap();
    insist(&own);

    for tls in [trusting(&[&ours]), trusting(&[&foreign, &ours]), Tls::Require, Tls::Prefer] {
        works(&own, "localhost", &tls).await.unwrap();
    }
    assert!(works(&own, "localhost", &Tls::Disable).await.unwrap_err().is_login_refused());

    for stranger in [foreign, namesake] {
        let refused = refused(&own, "localhost", &trusting(&[&stranger])).await;
        let expected = "not trusted: none of the authorities in tls.caSecretRef has signed it";
        assert!(refused.ends_with(expected), "{refused}");
    }
    let by_another_name = refused(&own, "127.0.0.1", &trusting(&[&ours])).await;
    assert!(by_another_name.ends_with("it is for DnsName(\"localhost\"), not for 127.0.0.1"), "{by_another_name}");
    works(&own, "127.0.0.1", &Tls::Require).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_used_only_by_who_does_not_ask_for_it() {
    let own = OwnServer::start("no-tls", 25670);
    works(&own, "localhost", &Tls::Prefer).await.unwrap();
    for tls in [Tls::Require, trusting(&[&Authority::new("nobody")])] {
        let refused = works(&own, "localhost", &tls).await.unwrap_err();
        assert_eq!(refused.to_string(), "no TLS connection can be made: server does not support TLS");
        assert!(matches!(refused, SqlError::Tls(_)), "{refused:?}");
    }
}
