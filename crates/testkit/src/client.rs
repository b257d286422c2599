//! A small HTTP client that says what went wrong.

use std::time::Duration;

use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Calls one service, as somebody or as nobody.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    token: Option<String>,
    inner: reqwest::Client,
}

/// A request that is being put together.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call {
    line: String,
    request: RequestBuilder,
}

/// What came back, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    line: String,
    /// The status code.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Panics
    ///
    /// When the system gives no sockets.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let inner = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("an HTTP client can be made");
        Self { base: base.trim_end_matches('/').to_owned(), token: None, inner }
    }

    /// The same client with a bearer token.
    #[must_use]
    pub fn bearer(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// `GET path`
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// `POST path`
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// `PUT path`
    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    /// `PATCH path`
    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    /// `DELETE path`
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Any method.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let line = format!("{method} {path}");
        let request = self.inner.request(method, format!("{}{path}", self.base));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Call { line, request }
    }
}

impl Call {
    /// Sends `body` as JSON.
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    /// Sends `body` as it is, said to be of `content_type`.
    pub fn body(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.header("content-type", content_type).with_body(body)
    }

    /// Sends a header field.
    ///
    /// # Panics
    ///
    /// When it is not one.
    pub fn header(self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        let value = HeaderValue::from_str(value).expect("a header value");
        Self { request: self.request.header(name, value), ..self }
    }

    /// Sends `Idempotency-Key`.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Sends `If-Match`.
    pub fn if_match(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    /// Sends the request and reads the answer to its end.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached or hangs up.
    pub async fn send(self) -> Answer {
        let Self { line, request } = self;
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("the answer is complete").to_vec();
        Answer { line, status, headers, body }
    }

    fn with_body(self, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.body(body), ..self }
    }
}

impl Answer {
    /// This answer, if its status is `status`.
    ///
    /// # Panics
    ///
    /// When it is another; the message shows the body.
    #[track_caller]
    #[must_use = "an answer that nobody looks at proves little"]
    pub fn expect(self, status: u16) -> Self {
        self.expect_status(status);
        self
    }

    /// Checks the status.
    ///
    /// # Panics
    ///
    /// When it is another; the message shows the body.
    #[track_caller]
    pub fn expect_status(&self, status: u16) {
        assert!(self.status.as_u16() == status, "{}: {} instead of {status}: {}", self.line, self.status, self.text());
    }

    /// Checks that this is a problem document (RFC 9457) with `status` and `code`.
    ///
    /// # Panics
    ///
    /// When it is anything else; the message shows the body.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) {
        self.expect_status(status);
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind == "application/problem+json", "{}: no problem document but {kind}: {}", self.line, self.text());
        assert!(self.json()["code"] == code, "{}: no {code}: {}", self.line, self.text());
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        self.parse()
    }

    /// The body read as `T`.
    ///
    /// # Panics
    ///
    /// When it is not one; the message shows the body.
    #[track_caller]
    #[must_use]
    pub fn parse<T: DeserializeOwned>(&self) -> T {
        let parsed = serde_json::from_slice(&self.body);
        assert!(parsed.is_ok(), "{}: unexpected body: {}", self.line, self.text());
        parsed.expect("checked in the line above")
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field, where it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `ETag`.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn etag(&self) -> String {
        let etag = self.header("etag");
        assert!(etag.is_some(), "{}: no ETag", self.line);
        etag.unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &'static str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        let status = StatusCode::from_u16(status).unwrap();
        Answer { line: "GET /x".to_owned(), status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_problem_document_is_recognised() {
        answer(409, "application/problem+json", r#"{"code":"out_of_stock"}"#).expect_problem(409, "out_of_stock");
    }

    #[test]
    #[should_panic(expected = "GET /x: 500 Internal Server Error instead of 200: broken")]
    fn an_unexpected_status_shows_request_and_body() {
        answer(500, "text/plain", "broken").expect_status(200);
    }

    #[test]
    #[should_panic(expected = "no problem document but text/plain")]
    fn an_error_without_a_problem_document_is_noticed() {
        answer(404, "text/plain", "not found").expect_problem(404, "not_found");
    }
}
