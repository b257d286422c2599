//! Access tokens: every way to forge one (RFC 8725), and keys.

use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kit::kafka::KafkaArgs;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

use crate::{Auth, Somebody};

/// The service's own key, as only its database has it.
async fn signing_key(auth: &Auth) -> (String, EncodingKey, Vec<u8>) {
    let row = sqlx::query!("select kid, private_key, public_key from signing_keys");
    let row = row.fetch_one(auth.database.pool()).await.unwrap();
    (row.kid, EncodingKey::from_ed_der(&row.private_key), row.public_key)
}

fn header(kid: &str) -> Header {
    Header { typ: Some("at+jwt".to_owned()), kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) }
}

fn claims(somebody: &Somebody) -> Value {
    let session = "01890000-0000-7000-8000-000000000000";
    json!({
        "iss": "greencommerce", "aud": "greencommerce", "sub": somebody.id, "sid": session, "jti": session,
        "iat": 1_700_000_000, "exp": 32_503_680_000_i64, "roles": ["customer"],
    })
}

fn with(claims: &Value, member: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[member] = value;
    claims
}

#[tokio::test]
async fn no_forged_token_is_accepted() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let (kid, key, public) = signing_key(&auth).await;
    let good = claims(&somebody);
    let me = |token: String| auth.client().bearer(token).get("/api/auth/me").send();
    me(encode(&header(&kid), &good, &key).unwrap()).await.expect_status(200);

    let real = somebody.access_token();
    let (signed, signature) = real.rsplit_once('.').unwrap();
    let mut forged = vec![
        "null".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.{}", "A".repeat(signature.len())),
        format!("{real}."),
        "A".repeat(100_000 / 16),
        somebody.refresh_token(),
    ];
    for alg in ["none", "None", "NONE", "nOnE", "HS256", "ES256"] {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
        let head = json!({ "alg": alg, "typ": "at+jwt", "kid": kid }).to_string();
        forged.push(format!("{}.{}.{signature}", B64.encode(head), B64.encode(good.to_string())));
        forged.push(format!("{}.{}.", B64.encode(json!({ "alg": alg }).to_string()), B64.encode(good.to_string())));
    }
    let hmac = Header { alg: Algorithm::HS256, ..header(&kid) };
    for secret in [&public[..], b"", b"secret"] {
        forged.push(encode(&hmac, &good, &EncodingKey::from_secret(secret)).unwrap());
    }
    for kid in ["", "/dev/null", "../../key", "' or 1=1 --", &"k".repeat(1000)] {
        forged.push(encode(&header(kid), &good, &key).unwrap());
    }
    for typ in [None, Some("JWT"), Some("refresh")] {
        forged.push(encode(&Header { typ: typ.map(str::to_owned), ..header(&kid) }, &good, &key).unwrap());
    }
    let wrong = [
        ("iss", json!("somebody")),
        ("aud", json!("another shop")),
        ("exp", json!(1_700_000_000)),
        ("exp", json!("32503680000")),
        ("exp", json!(null)),
        ("nbf", json!(32_503_680_000_i64)),
        ("sub", json!("admin")),
        ("roles", json!(["god"])),
    ];
    for (member, value) in wrong {
        forged.push(encode(&header(&kid), &with(&good, member, value), &key).unwrap());
    }
    for token in forged {
        let answer = me(token.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (401, &json!("invalid_token")), "{token}");
    }
}

#[tokio::test]
async fn processes_that_start_at_once_agree_on_one_key() {
    let database = TestDatabase::new(auth::NAME, &auth::MIGRATOR).await;
    let kafka = || KafkaArgs { kafka_bootstrap_servers: "127.0.0.1:9".to_owned(), kafka_prefix: String::new() };
    let services = join_all((0..4).map(|_| crate::service(&database, kafka()))).await;
    let mut keys = Vec::new();
    for service in services {
        let server = Server::start(service).await;
        keys.push(server.client().get("/.well-known/jwks.json").send().await.expect(200).json());
    }
    assert!(keys.iter().all(|set| *set == keys[0]));
    assert_eq!(keys[0]["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_made_on_request_is_published_at_once_and_tokens_of_the_one_before_stay_good() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let (first, _, _) = signing_key(&auth).await;
    let rotate = async || auth::rotate_keys(&auth.database.args()).await.unwrap();
    assert_eq!(rotate().await, first, "the only key has not signed for five minutes");

    let older = "update signing_keys set created_at = created_at - interval '10 minutes'";
    sqlx::raw_sql(older).execute(auth.database.pool()).await.unwrap();
    let second = rotate().await;
    assert_ne!(second, first);
    assert_eq!(rotate().await, second, "one new key at a time");

    // A process that starts now has both, still signs with the first, and knows the tokens that were signed before.
    let kafka = KafkaArgs { kafka_bootstrap_servers: "127.0.0.1:9".to_owned(), kafka_prefix: String::new() };
    let server = Server::start(crate::service(&auth.database, kafka).await).await;
    let published = server.client().get("/.well-known/jwks.json").send().await.expect(200).json();
    let kids: Vec<&Value> = published["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(kids, [&json!(second), &json!(first)]);
    server.client().bearer(somebody.access_token()).get("/api/auth/me").send().await.expect_status(200);

    // Once the second has been published long enough, it signs; what the first signed is good.
    sqlx::raw_sql(older).execute(auth.database.pool()).await.unwrap();
    let kafka = KafkaArgs { kafka_bootstrap_servers: "127.0.0.1:9".to_owned(), kafka_prefix: String::new() };
    let server = Server::start(crate::service(&auth.database, kafka).await).await;
    let tokens = crate::log_in(&server.client(), &somebody.email, crate::PASSWORD).await.expect(200).json();
    let signed = jsonwebtoken::decode_header(crate::text(&tokens, "access_token")).unwrap();
    assert_eq!(signed.kid, Some(second));
    server.client().bearer(somebody.access_token()).get("/api/auth/me").send().await.expect_status(200);
}
