//! Which access tokens are believed, after the attack list of RFC 8725.

mod support;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kit::auth::Rejected;
use serde_json::{Value, json};
use support::{Issuer, good_claims};

fn with(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Value {
    let mut claims = serde_json::to_value(good_claims()).expect("claims are plain data");
    change(claims.as_object_mut().expect("claims are an object"));
    claims
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

#[tokio::test]
async fn a_good_token_is_believed() {
    let issuer = Issuer::new();
    let claims = good_claims();
    let token = issuer.sign(&Issuer::header(), &claims);
    assert_eq!(issuer.verifier().verify(&token).await.unwrap(), claims);
}

#[tokio::test]
async fn no_token_of_the_attack_list_is_believed() {
    let issuer = Issuer::new();
    let now = kit::Clock::system().now().as_second();
    let good = Issuer::header();
    let sign = |claims: Value| issuer.sign(&good, &claims);
    let header = |change: fn(&mut Header)| {
        let mut header = Issuer::header();
        change(&mut header);
        issuer.sign(&header, &good_claims())
    };
    let hmac = |secret: &[u8]| {
        let header = Header { alg: Algorithm::HS256, ..Issuer::header() };
        jsonwebtoken::encode(&header, &good_claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let token = issuer.sign(&good, &good_claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let none = |name: &str| unsigned(&json!({ "alg": name, "typ": "at+jwt", "kid": "test" }), &with(|_| ()));

    let attacks = [
        ("empty", String::new()),
        ("null", "null".to_owned()),
        ("two parts", signed.to_owned()),
        ("no signature", format!("{signed}.")),
        ("another signature", format!("{signed}.{}", signature.chars().rev().collect::<String>())),
        ("another key's signature", Issuer::new().sign(&good, &good_claims())),
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("alg nOnE", none("nOnE")),
        ("HMAC with the public key", hmac(&issuer.public)),
        ("HMAC with nothing", hmac(b"")),
        ("HMAC with a common password", hmac(b"secret")),
        ("an ID token", header(|header| header.typ = Some("JWT".to_owned()))),
        ("no type", header(|header| header.typ = None)),
        ("no key id", header(|header| header.kid = None)),
        ("an unknown key id", header(|header| header.kid = Some("other".to_owned()))),
        ("a path as key id", header(|header| header.kid = Some("../../dev/null".to_owned()))),
        ("SQL as key id", header(|header| header.kid = Some("' or 1=1 --".to_owned()))),
        ("a huge key id", header(|header| header.kid = Some("k".repeat(10_000)))),
        (
            "keys from elsewhere",
            header(|header| {
                header.jku = Some("http://127.0.0.1/keys".to_owned());
                header.kid = Some("theirs".to_owned());
            }),
        ),
        ("another issuer", sign(with(|claims| drop(claims.insert("iss".to_owned(), json!("elsewhere")))))),
        ("another audience", sign(with(|claims| drop(claims.insert("aud".to_owned(), json!("elsewhere")))))),
        ("no audience", sign(with(|claims| drop(claims.remove("aud"))))),
        ("no subject", sign(with(|claims| drop(claims.remove("sub"))))),
        ("a subject that is no id", sign(with(|claims| drop(claims.insert("sub".to_owned(), json!("root")))))),
        ("expired", sign(with(|claims| drop(claims.insert("exp".to_owned(), json!(now - 120)))))),
        ("no expiry", sign(with(|claims| drop(claims.remove("exp"))))),
        ("expiry as text", sign(with(|claims| drop(claims.insert("exp".to_owned(), json!("tomorrow")))))),
        ("not valid yet", sign(with(|claims| drop(claims.insert("nbf".to_owned(), json!(now + 600)))))),
        ("an unknown role", sign(with(|claims| drop(claims.insert("roles".to_owned(), json!(["root"])))))),
        ("white space around", format!(" {token} ")),
        ("padding", format!("{token}==")),
    ];
    let verifier = issuer.verifier();
    for (name, attack) in attacks {
        assert!(matches!(verifier.verify(&attack).await, Err(Rejected::Invalid(_))), "believed: {name}");
    }
    assert!(verifier.verify(&token).await.is_ok(), "the good token still works");
}
