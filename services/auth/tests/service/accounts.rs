//! Registering, changing the password, deleting.

use futures::future::join_all;
use serde_json::json;

use crate::{Auth, PASSWORD, log_in, register};

#[tokio::test]
async fn a_new_customer_gets_an_account() {
    let auth = Auth::start().await;
    let body = json!({ "email": "Ada@Example.com", "password": PASSWORD, "name": " Ada Obi " });
    for path in ["/api/auth/register", "/auth/register"] {
        let answer = auth.client().post(path).json(&body).send().await;
        if path == "/auth/register" {
            answer.expect_problem(409, "email_taken");
            continue;
        }
        let account = answer.expect(201).json();
        assert_eq!(account["email"], "ada@example.com");
        assert_eq!(account["name"], "Ada Obi");
        assert_eq!(account["roles"], json!(["customer"]));
        assert_eq!(account["id"].as_str().unwrap().len(), 36);
        assert!(account.get("password_hash").is_none());
    }
}

#[tokio::test]
async fn of_many_registrations_of_one_address_one_succeeds() {
    let auth = Auth::start().await;
    let client = auth.client();
    let answers = join_all((0..20).map(|_| register(&client, "ada@example.com"))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    let expected: Vec<u16> = [201].into_iter().chain([409; 19]).collect();
    assert_eq!(statuses, expected);
}

#[tokio::test]
async fn a_registration_with_a_key_is_done_once_and_answered_again() {
    let auth = Auth::start().await;
    let client = auth.client();
    let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
    let call = |body| client.post("/api/auth/register").idempotency_key("k-1").json(body).send();
    let first = call(&body).await.expect(201);
    let again = call(&body).await.expect(201);
    assert_eq!(first.json(), again.json());
    let other = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Somebody else" });
    call(&other).await.expect_problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn bad_registrations_are_refused_with_every_reason() {
    let auth = Auth::start().await;
    let client = auth.client();
    let refused = json!({ "email": "ada", "password": "x", "name": "" });
    let answer = client.post("/api/auth/register").json(&refused).send().await;
    answer.expect_problem(422, "validation_failed");
    let fields: Vec<_> = answer.json()["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["email", "name"]);
    let cases = [
        (json!({ "email": "a@example.com", "password": "short", "name": "A" }), 422, "validation_failed"),
        (json!({ "email": "a@example.com", "password": "password1234", "name": "A" }), 422, "validation_failed"),
        (json!({ "email": "a@example.com", "password": "x y".repeat(100), "name": "A" }), 422, "validation_failed"),
        (json!({ "email": "a@example.com", "password": PASSWORD, "name": "nul\u{0}" }), 422, "validation_failed"),
        (json!({ "email": "nul\u{0}@example.com", "password": PASSWORD, "name": "A" }), 422, "validation_failed"),
        (
            json!({ "email": "a@example.com", "password": PASSWORD, "name": "A", "roles": ["admin"] }),
            400,
            "invalid_body",
        ),
        (json!({ "email": "a@example.com", "password": PASSWORD }), 400, "invalid_body"),
        (json!({ "email": 1, "password": PASSWORD, "name": "A" }), 400, "invalid_body"),
        (json!([]), 400, "invalid_body"),
    ];
    for (body, status, code) in cases {
        client.post("/api/auth/register").json(&body).send().await.expect_problem(status, code);
    }
    let raw = |kind: &str, body: &[u8]| client.post("/api/auth/register").body(kind, body.to_vec()).send();
    raw("application/json", b"{").await.expect_problem(400, "malformed_json");
    raw("application/json", b"\xff\xfe").await.expect_problem(400, "malformed_json");
    raw("text/plain", b"{}").await.expect_problem(415, "unsupported_media_type");
    raw("application/json", &vec![b' '; 300 * 1024]).await.expect_problem(413, "body_too_large");
    client.get("/api/auth/register").send().await.expect_problem(405, "method_not_allowed");
    client.get("/api/auth/nothing").send().await.expect_problem(404, "not_found");
    let known = sqlx::query_scalar!(r#"select count(*) as "count!" from accounts"#);
    assert_eq!(known.fetch_one(auth.database.pool()).await.unwrap(), 0, "nothing was changed");
}

#[tokio::test]
async fn a_changed_password_is_the_only_one_and_ends_the_other_sessions() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let elsewhere = log_in(&auth.client(), &somebody.email, PASSWORD).await.expect(200).json();
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        somebody.client.post("/api/auth/password/change").json(&body).send()
    };
    change("not the password", "harbour kettle moon").await.expect_problem(403, "wrong_password");
    change(PASSWORD, "password").await.expect_problem(422, "validation_failed");
    change(PASSWORD, "harbour kettle moon").await.expect_status(204);
    log_in(&auth.client(), &somebody.email, PASSWORD).await.expect_problem(401, "invalid_credentials");
    log_in(&auth.client(), &somebody.email, "harbour kettle moon").await.expect_status(200);
    let ended = elsewhere["refresh_token"].as_str().unwrap();
    crate::refresh(&auth.client(), ended).await.expect_problem(401, "invalid_refresh_token");
    crate::refresh(&auth.client(), &somebody.refresh_token()).await.expect_status(200);
}

#[tokio::test]
async fn an_account_is_deleted_by_post_put_and_delete() {
    let auth = Auth::start().await;
    for method in ["POST", "PUT", "DELETE"] {
        let somebody = auth.somebody().await;
        let delete = || somebody.client.call(method.parse().unwrap(), "/api/auth/delete");
        let wrong = json!({ "password": "not the password" });
        delete().json(&wrong).send().await.expect_problem(403, "wrong_password");
        let call = if method == "POST" { delete().json(&json!({ "password": PASSWORD })) } else { delete() };
        call.send().await.expect_status(204);
        log_in(&auth.client(), &somebody.email, PASSWORD).await.expect_problem(401, "invalid_credentials");
        crate::refresh(&auth.client(), &somebody.refresh_token()).await.expect_problem(401, "invalid_refresh_token");
        somebody.client.get("/api/auth/me").send().await.expect_problem(401, "invalid_token");
        delete().send().await.expect_problem(401, "invalid_token");
    }
    auth.client().post("/api/auth/delete").send().await.expect_problem(401, "login_required");
}

#[tokio::test]
async fn an_owner_sees_the_account() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let account = somebody.client.get("/api/auth/me").send().await.expect(200).json();
    assert_eq!(account["id"], somebody.id);
    assert_eq!(account["status"], "active");
    auth.client().get("/api/auth/me").send().await.expect_problem(401, "login_required");
}
