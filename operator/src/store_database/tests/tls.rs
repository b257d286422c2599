//! What TLS on somebody else's server asks of users, and what becomes of it.

use api::Reason;
use devenv::Authority;
use kube::runtime::watcher::Event;
use serde_json::json;

use super::{
    super::{
        build,
        dereference::{AdminReads, ServerReads, dereference},
        error::{Error, ValidateError},
        sql::{Authorities, SqlError, Tls, TlsError},
        validate::{Validated, removal},
    },
    EXTERNAL, MANAGED, database, managed_reads, readable, secret, validated,
};
use crate::framework::{ReconcileError, Retry, scenario::Scenario, secret_hash};

const VERIFIED: &str = include_str!("../build/fixtures/verified.yaml");

/// As `openssl` writes it, for a snapshot that stays the same.
const AUTHORITY: &str = include_str!("../build/fixtures/authority.pem");

fn reads(authorities: Option<&[(&str, &str)]>) -> AdminReads {
    AdminReads {
        name: "postgres-admin".to_owned(),
        secret: Some(secret(&[("username", "dba"), ("password", "admin")])),
        authorities: authorities.map(secret),
    }
}

fn of(manifest: &str, authorities: Option<&[(&str, &str)]>) -> Result<Validated, ValidateError> {
    validated(manifest, ServerReads::External(Box::new(reads(authorities))))
}

fn with_mode(mode: &str) -> String {
    EXTERNAL.replace("    databasePrefix: eco_\n", &format!("    tls: {{mode: {mode}}}\n"))
}

fn uri(of: &Validated) -> String {
    readable(&build::logins(of)[0])["data (decoded)"]["uri"].as_str().unwrap().to_owned()
}

#[test]
fn services_that_verify_the_server_find_in_their_secret_what_they_need_for_it() {
    let validated = of(VERIFIED, Some(&[("ca.crt", AUTHORITY)])).unwrap();
    insta::assert_yaml_snapshot!(readable(&build::logins(&validated)[0]));
}

#[test]
fn the_operator_connects_as_it_tells_services_to() {
    let verified = of(VERIFIED, Some(&[("ca.crt", AUTHORITY)])).unwrap();
    let authorities = Authorities::parse(AUTHORITY.as_bytes()).unwrap();
    assert_eq!(verified.server().tls, Tls::VerifyFull(authorities.clone()));
    let removed = removal(&database(VERIFIED), &reads(Some(&[("ca.crt", AUTHORITY)]))).unwrap();
    assert_eq!(removed.server.tls, Tls::VerifyFull(authorities));
    let required = of(&with_mode("Require"), None).unwrap();
    assert_eq!(required.server().tls, Tls::Require);
    assert!(uri(&required).ends_with(":5432/orders?sslmode=require"), "{}", uri(&required));
}

/// Its hash stands on the pods: an operator that writes it in another way restarts every pod.
#[test]
fn a_secret_that_is_not_about_tls_stays_as_it_always_was() {
    let plain = EXTERNAL.replace("    databasePrefix: eco_\n", "");
    let hash = |of: &Validated| secret_hash(&build::logins(of)[0]);
    let (silent, preferred) = (of(&plain, None).unwrap(), of(&with_mode("Prefer"), None).unwrap());
    assert_eq!(uri(&silent), "postgres://orders:kept@db.example.com:5432/orders");
    assert_eq!(hash(&silent), hash(&preferred));
    assert_eq!((silent.server().tls, preferred.server().tls), (Tls::Prefer, Tls::Prefer));
    let managed = validated(MANAGED, managed_reads(None, None)).unwrap();
    assert_eq!(managed.server().tls, Tls::Disable);
    assert!(!uri(&managed).contains('?'));
}

#[test]
fn without_a_mode_the_server_is_verified() {
    let unnamed = VERIFIED.replace("      mode: VerifyFull\n", "");
    assert!(matches!(of(&unnamed, Some(&[("ca.crt", AUTHORITY)])).unwrap().server().tls, Tls::VerifyFull(_)));
    let nobody = of(&with_mode("VerifyFull"), None).unwrap_err();
    assert!(nobody.to_string().contains("needs tls.caSecretRef"), "{nobody}");
}

#[test]
fn other_certificates_change_what_stands_on_the_pods_and_what_stands_around_them_does_not() {
    let hash = |text: &str| secret_hash(&build::logins(&of(VERIFIED, Some(&[("ca.crt", text)])).unwrap())[0]);
    assert_eq!(hash(AUTHORITY), hash(&format!("# ours\n{AUTHORITY}\n")));
    assert_ne!(hash(AUTHORITY), hash(&format!("{AUTHORITY}{}", Authority::new("another").pem())));
}

#[test]
fn certificates_that_are_missing_or_none_are_asked_for_by_secret_and_key() {
    let refused = |authorities: Option<[(&str, &str); 1]>| {
        let manifest = VERIFIED.replace("authorities\n", "authorities\n        key: root.pem\n");
        let error = Error::from(of(&manifest, authorities.as_ref().map(<[_; 1]>::as_slice)).unwrap_err());
        assert_eq!(error.retry(), Retry::Backoff, "the Secret wakes us when it comes or changes");
        (error.reason(), error.to_string())
    };
    let (reason, message) = refused(None);
    assert_eq!(reason, Reason::SecretMissing);
    assert!(
        message.starts_with("Secret postgres-authorities does not exist: create it with the key root.pem"),
        "{message}"
    );
    for wrong in [[("ca.crt", AUTHORITY)], [("root.pem", "no certificate")]] {
        let (reason, message) = refused(Some(wrong));
        assert_eq!(reason, Reason::SecretInvalid);
        let expected =
            "the key root.pem of Secret postgres-authorities holds no certificate in PEM: put the certificates";
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_server_that_cannot_be_trusted_counts_as_unreachable() {
    let untrusted = TlsError::Certificate("it has expired".to_owned());
    let error = Error::from(SqlError::from(untrusted));
    assert_eq!((error.reason(), error.retry()), (Reason::DatabaseUnreachable, Retry::Steady));
    assert_eq!(error.findings()[0].message, "the server's certificate is not trusted: it has expired");
}

#[tokio::test]
async fn the_certificates_are_read_from_the_secret_that_is_named_for_them() {
    let (scenario, context, mut writers) = Scenario::of(vec![]);
    for name in ["postgres-admin", "postgres-authorities", "emporium-orders-database"] {
        let found = json!({"metadata": {"name": name, "namespace": "shop"}, "data": {"password": "ZGJh"}});
        writers.secrets.apply_watcher_event(&Event::Apply(serde_json::from_value(found).unwrap()));
    }
    let reads = dereference(&context, &database(VERIFIED)).await.unwrap();
    scenario.finish();
    let ServerReads::External(admin) = reads.server else { panic!("the manifest is of an external server") };
    assert_eq!(admin.authorities.unwrap().metadata.name.as_deref(), Some("postgres-authorities"));
}
