//! What every route answers, whatever its service does.

mod support;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    routing::{get, post},
};
use http_body_util::BodyExt;
use kit::{
    auth::{Caller, Staff},
    http::{Json, Query, with_conventions},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use support::{Issuer, good_claims};
use tower::ServiceExt;
use types::{Money, PageLimit, Quantity, Role};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    quantity: Quantity,
    price: Money,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<PageLimit>,
}

fn service(issuer: &Issuer) -> Router {
    let router = Router::new()
        .route("/lines", post(|Json(line): Json<Line>| async { Json(line) }))
        .route("/list", get(|Query(list): Query<List>| async move { Json(i64::from(list.limit.unwrap_or_default())) }))
        .route("/mine", get(|caller: Caller| async move { caller.user_id().to_string() }))
        .route("/staff", get(|_: Staff| async { "welcome" }))
        .route("/panic", get(async || -> &'static str { unreachable!("secret detail") }));
    with_conventions(router, issuer.verifier())
}

async fn send(request: Request<Body>) -> (StatusCode, String) {
    send_to(&Issuer::new(), request).await
}

async fn send_to(issuer: &Issuer, request: Request<Body>) -> (StatusCode, String) {
    let response = service(issuer).oneshot(request).await.expect("well-formed");
    let status = response.status();
    assert!(response.headers().contains_key("x-request-id"));
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{status}");
    }
    let body = response.into_body().collect().await.expect("well-formed").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("well-formed"))
}

fn line(body: impl Into<Body>) -> Request<Body> {
    Request::post("/lines").header(header::CONTENT_TYPE, "application/json").body(body.into()).expect("well-formed")
}

fn page(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("well-formed")
}

fn code(body: &str) -> String {
    serde_json::from_str::<Value>(body).expect("well-formed")["code"].as_str().expect("well-formed").to_owned()
}

#[tokio::test]
async fn a_body_that_fits_is_taken() {
    let body = r#"{"quantity":2,"price":{"amount":100,"currency":"NGN"}}"#;
    assert_eq!(send(line(body)).await, (StatusCode::OK, body.to_owned()));
}

#[tokio::test]
async fn a_bad_body_is_a_problem_with_a_code_and_never_5xx() {
    let price = r#""price":{"amount":100,"currency":"NGN"}"#;
    let cases = [
        (String::new(), 400, "malformed_json"),
        ("{".to_owned(), 400, "malformed_json"),
        ("[".repeat(100_000), 400, "invalid_body"),
        (format!(r#"{{"quantity":2,{price},"role":"admin"}}"#), 400, "invalid_body"),
        (format!(r"{{{price}}}"), 400, "invalid_body"),
        (format!(r#"{{"quantity":"2",{price}}}"#), 400, "invalid_body"),
        (format!(r#"{{"quantity":-1,{price}}}"#), 400, "invalid_body"),
        (format!(r#"{{"quantity":0,{price}}}"#), 400, "invalid_body"),
        (format!(r#"{{"quantity":1.5,{price}}}"#), 400, "invalid_body"),
        (format!(r#"{{"quantity":99999999999999999999999,{price}}}"#), 400, "invalid_body"),
        (r#"{"quantity":1,"price":{"amount":9223372036854775808,"currency":"NGN"}}"#.to_owned(), 400, "invalid_body"),
        (r#"{"quantity":1,"price":{"amount":1,"currency":"ZZZ"}}"#.to_owned(), 400, "invalid_body"),
        (" ".repeat(kit::http::BODY_LIMIT + 1), 413, "body_too_large"),
    ];
    for (body, status, expected) in cases {
        let shown = body.chars().take(60).collect::<String>();
        let (answered, document) = send(line(body)).await;
        assert_eq!((answered.as_u16(), code(&document).as_str()), (status, expected), "{shown}");
    }
}

#[tokio::test]
async fn invalid_utf8_is_a_problem() {
    assert_eq!(send(line(vec![0xff, 0xfe])).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_that_is_not_json_by_its_type_is_415() {
    let request = Request::post("/lines").body(Body::from("{}")).unwrap();
    assert_eq!(send(request).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_bad_query_is_a_problem() {
    for query in ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=99999999999999999999", "other=1"] {
        let (status, body) = send(page(&format!("/list?{query}"))).await;
        assert_eq!((status, code(&body).as_str()), (StatusCode::BAD_REQUEST, "invalid_query"), "{query}");
    }
    assert_eq!(send(page("/list?limit=7")).await, (StatusCode::OK, "7".to_owned()));
}

#[tokio::test]
async fn an_unknown_address_and_an_unknown_method_are_problems() {
    assert_eq!(send(page("/nowhere")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(send(page("/lines")).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing() {
    let (status, body) = send(page("/panic")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!body.contains("secret"), "{body}");
}

#[tokio::test]
async fn who_is_not_logged_in_is_told_so_and_who_may_not_is_told_that() {
    let issuer = Issuer::new();
    let token = issuer.sign(&Issuer::header(), &good_claims());
    let get = |path: &str, authorization: &str| {
        Request::get(path).header(header::AUTHORIZATION, authorization).body(Body::empty()).unwrap()
    };
    assert_eq!(code(&send_to(&issuer, page("/mine")).await.1), "login_required");
    for bad in ["Bearer", "Bearer x", "Basic YTpi", &token] {
        let (status, body) = send_to(&issuer, get("/mine", bad)).await;
        assert_eq!((status, code(&body).as_str()), (StatusCode::UNAUTHORIZED, "invalid_token"), "{bad}");
    }
    let bearer = format!("Bearer {token}");
    assert_eq!(send_to(&issuer, get("/mine", &bearer)).await.0, StatusCode::OK);
    assert_eq!(send_to(&issuer, get("/staff", &bearer)).await.0, StatusCode::FORBIDDEN);
    let mut claims = good_claims();
    claims.roles = vec![Role::Admin];
    let admin = format!("Bearer {}", issuer.sign(&Issuer::header(), &claims));
    assert_eq!(send_to(&issuer, get("/staff", &admin)).await.0, StatusCode::OK);
}
