//! Logging in and out, and sessions.

use kit::auth::Verifier;
use serde_json::json;
use types::Role;

use crate::{Auth, PASSWORD, log_in, text, verifier_args};

#[tokio::test]
async fn a_login_gives_a_token_that_any_service_can_check_by_the_published_keys() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    assert_eq!(somebody.tokens["token_type"], "Bearer");
    assert_eq!(somebody.tokens["expires_in"], 900);
    let elsewhere = Verifier::from_args(&verifier_args(&auth.server.url())).unwrap();
    let claims = elsewhere.verify(&somebody.access_token()).await.unwrap();
    assert_eq!(claims.sub.to_string(), somebody.id);
    assert_eq!(claims.roles, [Role::Customer]);
    assert_eq!(claims.exp - claims.iat, 900);
    let keys = auth.client().get("/.well-known/jwks.json").send().await.expect(200);
    assert_eq!(keys.header("cache-control"), Some("public, max-age=60"));
    let key = &keys.json()["keys"][0];
    assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA")));
    assert!(key.get("d").is_none(), "the private half stays here");
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_are_refused_alike() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let wrong = log_in(&auth.client(), &somebody.email, "not the password").await;
    wrong.expect_problem(401, "invalid_credentials");
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("not an address", PASSWORD),
        (&somebody.email, &"x".repeat(10_000)),
        (&somebody.email, ""),
        ("nul\u{0}@example.com", "\u{0}"),
    ] {
        assert_eq!(log_in(&auth.client(), email, password).await.json(), wrong.json(), "{email}");
    }
    let answer =
        auth.client().post("/auth/login").json(&json!({ "email": somebody.email, "password": PASSWORD })).send();
    answer.await.expect_status(200);
}

#[tokio::test]
async fn guessing_is_throttled_for_the_one_who_guesses() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let from = |address: &str, password: &str| {
        let body = json!({ "email": somebody.email, "password": password });
        auth.client().post("/api/auth/login").header("x-forwarded-for", address).json(&body).send()
    };
    for _ in 0..20 {
        from("192.0.2.1", "not the password").await.expect_problem(401, "invalid_credentials");
    }
    let throttled = from("192.0.2.1", PASSWORD).await;
    throttled.expect_problem(429, "too_many_failures");
    let wait: u64 = throttled.header("retry-after").unwrap().parse().unwrap();
    assert!((800..=900).contains(&wait), "{wait}");
    from("192.0.2.2", PASSWORD).await.expect_status(200);
    from("192.0.2.1", PASSWORD).await.expect_problem(429, "too_many_failures");
}

#[tokio::test]
async fn a_login_does_not_ask_for_kafka() {
    // Every test here but those of events runs without it; this one says so.
    let auth = Auth::start().await;
    auth.somebody().await;
    let waiting = sqlx::query_scalar!(r#"select count(*) as "count!" from platform.outbox"#);
    assert_eq!(waiting.fetch_one(auth.database.pool()).await.unwrap(), 1, "the event waits in the outbox");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let other = log_in(&auth.client(), &somebody.email, PASSWORD).await.expect(200).json();
    let first = somebody.client.get("/api/auth/sessions?limit=1").send().await.expect(200).json();
    assert_eq!(first["items"][0]["current"], false, "the newest comes first");
    let path = format!("/api/auth/sessions?limit=1&cursor={}", first["next"].as_str().unwrap());
    let second = somebody.client.get(&path).send().await.expect(200).json();
    assert_eq!((&second["items"][0]["current"], &second["next"]), (&json!(true), &json!(null)));
    let newest = first["items"][0]["id"].as_str().unwrap();
    let stranger = auth.somebody().await;
    let path = format!("/api/auth/sessions/{newest}");
    stranger.client.delete(&path).send().await.expect_problem(404, "not_found");
    somebody.client.delete("/api/auth/sessions/none").send().await.expect_problem(404, "not_found");
    somebody.client.delete(&path).send().await.expect_status(204);
    somebody.client.delete(&path).send().await.expect_problem(404, "not_found");
    crate::refresh(&auth.client(), &text(&other, "refresh_token")).await.expect_problem(401, "invalid_refresh_token");
    for query in ["limit=0", "limit=101", "limit=x", "cursor=x", "page=2"] {
        let answer = somebody.client.get(&format!("/api/auth/sessions?{query}")).send().await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_by_either_token() {
    let auth = Auth::start().await;
    let one = auth.somebody().await;
    one.client.post("/api/auth/logout").send().await.expect_status(204);
    crate::refresh(&auth.client(), &one.refresh_token()).await.expect_problem(401, "invalid_refresh_token");
    let other = auth.somebody().await;
    let log_out = |token: &str| auth.client().post("/api/auth/logout").json(&json!({ "refresh_token": token })).send();
    log_out("gcr_made-up").await.expect_status(204);
    log_out(&other.refresh_token()).await.expect_status(204);
    log_out(&other.refresh_token()).await.expect_status(204);
    crate::refresh(&auth.client(), &other.refresh_token()).await.expect_problem(401, "invalid_refresh_token");
    auth.client().post("/api/auth/logout").send().await.expect_problem(401, "login_required");
}
