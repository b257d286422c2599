//! What a service gets of a request.

use std::time::Duration;

use axum::body::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;
use testkit::{Client, Issuer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use types::UserId;

use crate::{Gateway, upstream::Echo};

#[tokio::test]
async fn a_service_gets_the_request_unchanged_but_for_its_connection() {
    let echo = Echo::start().await;
    let gateway = Gateway::start(&[echo.route()]).await;
    let client = gateway.server.client();
    let call = client.patch("/api/things/a%20b?q=%2F&x=1").header("accept", "x/y").header("x-user-id", "1");
    let call = call.header("x-forwarded-for", "203.0.113.9").header("x-request-id", "mine-1");
    let answer = call.json(&json!({ "a": 1 })).send().await.expect(200);
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    assert_eq!(answer.header("x-answered-by"), Some("echo"));
    assert_eq!(answer.header("keep-alive"), None);
    let got = answer.json();
    assert_eq!((&got["method"], &got["uri"]), (&json!("PATCH"), &json!("/api/things/a%20b?q=%2F&x=1")));
    assert_eq!(got["size"], 7);
    let headers = &got["headers"];
    assert_eq!(headers["accept"], "x/y");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-host"], gateway.server.url().trim_start_matches("http://"));
    assert_eq!(headers["x-request-id"], "mine-1");
    assert_eq!(headers["content-length"], "7");
    assert!(headers["traceparent"].as_str().unwrap().starts_with("00-"));
    assert!(headers.get("x-user-id").is_none());
    assert!(headers.get("transfer-encoding").is_none());
}

#[tokio::test]
async fn a_slow_client_that_sends_far_too_much_sees_the_refusal_and_no_broken_connection() {
    const SIZE: usize = 2 * 1024 * 1024;
    let echo = Echo::start().await;
    let gateway = Gateway::start(&[echo.route()]).await;
    let address = gateway.server.url().replace("http://", "");
    for (token, status) in [("", "413"), ("authorization: bearer junk\r\n", "401")] {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        let head = format!("POST /api/things HTTP/1.1\r\nhost: shop\r\ncontent-length: {SIZE}\r\n{token}\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        for chunk in vec![0; SIZE].chunks(64 * 1024) {
            connection.write_all(chunk).await.expect("the gateway still listens");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await.expect("the gateway answers");
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"));
    }
}

#[tokio::test]
async fn a_new_request_id_is_the_same_for_client_and_service() {
    let echo = Echo::start().await;
    let gateway = Gateway::start(&[echo.route()]).await;
    let answer = gateway.server.client().get("/api/things").send().await.expect(200);
    assert_eq!(answer.json()["headers"]["x-request-id"].as_str(), answer.header("x-request-id"));
}

#[tokio::test]
async fn a_body_is_streamed_up_to_its_limit() {
    let echo = Echo::start().await;
    let gateway = Gateway::start(&[echo.route()]).await;
    let client = gateway.server.client();
    let post = |body: reqwest::Body| client.post("/api/things").body("application/octet-stream", body).send();
    let exact = vec![0; 1024 * 1024];
    assert_eq!(post(exact.clone().into()).await.expect(200).json()["size"], 1024 * 1024);
    post(vec![0; 1024 * 1024 + 1].into()).await.expect_problem(413, "body_too_large");
    let chunked = |size: usize| {
        let chunk = || Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(&[0; 1024])));
        reqwest::Body::wrap(StreamBody::new(futures::stream::iter((0..size).map(move |_| chunk()))))
    };
    assert_eq!(post(chunked(100)).await.expect(200).json()["size"], 100 * 1024);
    post(chunked(1025)).await.expect_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_bad_token_goes_no_further() {
    let echo = Echo::start().await;
    let gateway = Gateway::start(&[echo.route(), format!("/auth={}", echo.url)]).await;
    let client = gateway.server.client();
    let issuer: &Issuer = &gateway.issuer;
    let user = UserId::new();
    let call = |client: Client, path: &'static str| async move { client.get(path).send().await };
    call(client.bearer(issuer.customer(user)), "/api/cart").await.expect_status(200);
    call(client.clone(), "/api/cart").await.expect_status(200);
    for bad in [issuer.expired(user), "junk".to_owned(), String::new()] {
        call(client.bearer(bad.clone()), "/api/cart").await.expect_problem(401, "invalid_token");
        // A client whose token has expired must be able to get another one.
        call(client.bearer(bad), "/api/auth/refresh").await.expect_status(200);
    }
    let basic = client.get("/api/cart").header("authorization", "Basic eDp5").send().await;
    basic.expect_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_changed_route_table_is_taken_over_and_a_broken_one_is_not() {
    let (old, new) = (Echo::start().await, Echo::start().await);
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |text: String| std::fs::write(file.path(), text).unwrap();
    let table = |prefix: &str, url: &str| format!("routes: [{{prefix: {prefix}, upstream: '{url}'}}]");
    write(table("/api/old", &old.url));
    let args = gateway::Args {
        routes_file: Some(file.path().to_owned()),
        routes: vec![],
        cors_origins: vec![],
        trusted_proxies: 0,
    };
    let gateway = Gateway::start_with(args).await;
    let client = gateway.server.client();
    client.get("/api/old").send().await.expect_status(200);
    client.get("/api/new").send().await.expect_problem(404, "not_found");
    write(table("/api/new", &new.url));
    let status = |path: &'static str| async { client.get(path).send().await.status.as_u16() };
    testkit::eventually("the new table is in use", || async { status("/api/new").await == 200 }).await;
    assert_eq!(status("/api/old").await, 404);
    write("routes: [".to_owned());
    // A third table proves that the broken one was seen and passed over, without a wait for luck.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(status("/api/new").await, 200);
    write(table("/api/old", &old.url));
    testkit::eventually("the third table is in use", || async { status("/api/old").await == 200 }).await;
}
