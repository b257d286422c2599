//! What administrators do, and who may not.

use serde_json::json;

use crate::{Auth, PASSWORD, log_in, register, text};

#[tokio::test]
async fn the_first_administrator_is_made_once_however_often_it_is_asked() {
    let auth = Auth::start().await;
    let make = |password: &'static str| {
        let args = auth.database.args();
        async move { auth::create_admin(&args, "Root@Example.com", Some("Root"), password).await }
    };
    let id = make(PASSWORD).await.unwrap();
    assert_eq!(make(PASSWORD).await.unwrap(), id);
    let tokens = log_in(&auth.client(), "root@example.com", PASSWORD).await.expect(200).json();
    let admin = auth.client().bearer(text(&tokens, "access_token"));
    let account = admin.get(&format!("/api/auth/admin/users/{id}")).send().await.expect(200).json();
    assert_eq!(account["roles"], json!(["customer", "admin"]));
    assert_eq!(make("harbour kettle moon").await.unwrap(), id);
    log_in(&auth.client(), "root@example.com", "harbour kettle moon").await.expect_status(200);
    crate::refresh(&auth.client(), &text(&tokens, "refresh_token")).await.expect_problem(401, "invalid_refresh_token");
    assert!(make("password").await.unwrap_err().to_string().contains("password"));
}

#[tokio::test]
async fn an_account_that_exists_is_made_an_administrators() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    auth::create_admin(&auth.database.args(), &somebody.email, None, PASSWORD).await.unwrap();
    let tokens = crate::refresh(&auth.client(), &somebody.refresh_token()).await.expect(200).json();
    let admin = auth.client().bearer(text(&tokens, "access_token"));
    admin.get("/api/auth/admin/users").send().await.expect_status(200);
}

#[tokio::test]
async fn roles_reach_the_next_token() {
    let auth = Auth::start().await;
    let (admin, somebody) = (auth.admin().await, auth.somebody().await);
    let path = format!("/api/auth/admin/users/{}/roles", somebody.id);
    let account = admin.put(&path).json(&json!({ "roles": ["staff", "customer", "staff"] })).send().await;
    assert_eq!(account.expect(200).json()["roles"], json!(["customer", "staff"]));
    let tokens = crate::refresh(&auth.client(), &somebody.refresh_token()).await.expect(200).json();
    let me = auth.client().bearer(text(&tokens, "access_token")).get("/api/auth/me").send().await.expect(200).json();
    assert_eq!(me["roles"], json!(["customer", "staff"]));
    for wrong in [json!({ "roles": ["owner"] }), json!({ "roles": "staff" }), json!({}), json!({ "roles": [], "x": 1 })]
    {
        admin.put(&path).json(&wrong).send().await.expect_problem(400, "invalid_body");
    }
}

#[tokio::test]
async fn a_disabled_account_is_out_until_it_is_active_again() {
    let auth = Auth::start().await;
    let (admin, somebody) = (auth.admin().await, auth.somebody().await);
    let path = format!("/api/auth/admin/users/{}/status", somebody.id);
    let set = |status: &str| admin.put(&path).json(&json!({ "status": status })).send();
    assert_eq!(set("disabled").await.expect(200).json()["status"], "disabled");
    crate::refresh(&auth.client(), &somebody.refresh_token()).await.expect_problem(401, "invalid_refresh_token");
    log_in(&auth.client(), &somebody.email, PASSWORD).await.expect_problem(403, "account_disabled");
    log_in(&auth.client(), &somebody.email, "not the password").await.expect_problem(401, "invalid_credentials");
    somebody.client.get("/api/auth/me").send().await.expect_problem(401, "invalid_token");
    set("active").await.expect_status(200);
    log_in(&auth.client(), &somebody.email, PASSWORD).await.expect_status(200);
}

#[tokio::test]
async fn nobody_locks_themselves_out() {
    let auth = Auth::start().await;
    let admin = auth.admin().await;
    let me = admin.get("/api/auth/me").send().await.expect(200).json();
    let path = |what: &str| format!("/api/auth/admin/users/{}/{what}", me["id"].as_str().unwrap());
    admin.put(&path("roles")).json(&json!({ "roles": ["staff"] })).send().await.expect_problem(409, "own_account");
    admin.put(&path("status")).json(&json!({ "status": "disabled" })).send().await.expect_problem(409, "own_account");
}

#[tokio::test]
async fn only_administrators_administer() {
    let auth = Auth::start().await;
    let (admin, somebody) = (auth.admin().await, auth.somebody().await);
    let user = format!("/api/auth/admin/users/{}", somebody.id);
    let routes = [
        ("GET", "/api/auth/admin/users".to_owned()),
        ("GET", user.clone()),
        ("PUT", format!("{user}/roles")),
        ("PUT", format!("{user}/status")),
    ];
    for (method, path) in routes {
        let body = json!({ "roles": ["admin"] });
        let call = |client: &testkit::Client| client.call(method.parse().unwrap(), &path).json(&body).send();
        call(&auth.client()).await.expect_problem(401, "login_required");
        call(&somebody.client).await.expect_problem(403, "forbidden");
    }
    let nobody = "/api/auth/admin/users/01890000-0000-7000-8000-000000000000";
    admin.get(nobody).send().await.expect_problem(404, "not_found");
    admin.get("/api/auth/admin/users/none").send().await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn accounts_are_listed_newest_first_and_found_by_address() {
    let auth = Auth::start().await;
    let admin = auth.admin().await;
    for number in 0..3 {
        register(&auth.client(), &format!("c{number}@example.com")).await.expect_status(201);
    }
    let page = admin.get("/api/auth/admin/users?limit=3").send().await.expect(200).json();
    let emails: Vec<_> = page["items"].as_array().unwrap().iter().map(|account| text(account, "email")).collect();
    assert_eq!(emails, ["c2@example.com", "c1@example.com", "c0@example.com"]);
    let rest = format!("/api/auth/admin/users?limit=3&cursor={}", text(&page, "next"));
    let rest = admin.get(&rest).send().await.expect(200).json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &json!(null)));
    let found = admin.get("/api/auth/admin/users?email=C1%40example.com").send().await.expect(200).json();
    assert_eq!(text(&found["items"][0], "email"), "c1@example.com");
}
