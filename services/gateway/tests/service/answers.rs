//! What the gateway answers itself.

use crate::{Gateway, upstream::Echo};

#[tokio::test]
async fn the_gateways_own_pages_are_there() {
    let gateway = Gateway::start(&["/api/x=http://127.0.0.1:9".to_owned()]).await;
    let client = gateway.server.client();
    assert_eq!(client.get("/healthz").send().await.expect(200).json()["status"], "ok");
    let document = client.get("/api/openapi.json").send().await.expect(200);
    assert_eq!(document.header("content-type"), Some("application/json"));
    assert_eq!(document.json()["info"]["title"], "GreenCommerce");
    let page = client.get("/api/docs").send().await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
}

#[tokio::test]
async fn what_is_nowhere_is_a_problem() {
    let gateway = Gateway::start(&["/api/x=http://127.0.0.1:9".to_owned()]).await;
    let client = gateway.server.client();
    for path in ["/", "/api", "/api/xy", "/api//x", "/%ff", "/api/%2e%2e/x"] {
        let answer = client.get(path).send().await;
        answer.expect_problem(404, "not_found");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("strict-transport-security"), None, "this is plain HTTP");
        assert!(answer.header("x-request-id").is_some());
    }
    client.post("/healthz").send().await.expect_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn too_large_heads_are_problems() {
    let echo = Echo::start().await;
    let gateway = Gateway::start(&[echo.route()]).await;
    let client = gateway.server.client();
    let large = client.get("/api/x").header("x-large", &"x".repeat(17 * 1024)).send().await;
    large.expect_problem(431, "headers_too_large");
    client.get(&format!("/api/{}", "x".repeat(9 * 1024))).send().await.expect_problem(414, "uri_too_long");
    client.get("/api/x").header("x-fine", &"x".repeat(8 * 1024)).send().await.expect_status(200);
}

#[tokio::test]
async fn pages_of_the_configured_origins_may_call_the_shop() {
    let echo = Echo::start().await;
    let args = gateway::Args {
        routes_file: None,
        routes: vec![echo.route().parse().unwrap()],
        cors_origins: vec!["https://shop.example".parse().unwrap()],
        trusted_proxies: 1,
    };
    let gateway = Gateway::start_with(args).await;
    let client = gateway.server.client();
    let ask = |origin: &'static str| {
        let call = client.call("OPTIONS".parse().unwrap(), "/api/x").header("origin", origin);
        call.header("access-control-request-method", "POST").send()
    };
    let allowed = ask("https://shop.example").await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(ask("https://evil.example").await.header("access-control-allow-origin"), None);
    let secure = client.get("/api/x").header("x-forwarded-proto", "https").send().await.expect(200);
    assert!(secure.header("strict-transport-security").is_some());
}
