//! Answers of the public API.

use anyhow::{Context as _, Result, ensure};
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

/// What came back, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request, for messages.
    pub(crate) line: String,
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// This answer, if its status is `status`.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "{}: {} instead of {status}: {}", self.line, self.status, self.text());
        Ok(self)
    }

    /// The problem document of this answer, if it is one (RFC 9457) with `status` and `code`.
    pub fn expect_problem(self, status: u16, code: &str) -> Result<Value> {
        let answer = self.expect(status)?;
        let problem = answer.problem()?;
        ensure!(problem["code"] == code, "{}: not {code}: {}", answer.line, answer.text());
        Ok(problem)
    }

    /// The problem document: of the right type, with the members that every problem has.
    pub fn problem(&self) -> Result<Value> {
        let kind = self.header("content-type").unwrap_or_default();
        ensure!(kind == "application/problem+json", "{}: no problem document but {kind:?}: {}", self.line, self.text());
        let document = self.json()?;
        ensure!(document["status"] == self.status.as_u16(), "{}: another status inside: {}", self.line, self.text());
        for member in ["type", "title", "code", "detail"] {
            let filled = document[member].as_str().is_some_and(|text| !text.is_empty());
            ensure!(filled, "{}: a problem without {member}: {}", self.line, self.text());
        }
        Ok(document)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{}: no JSON: {}", self.line, self.text()))
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
    pub fn etag(&self) -> Result<String> {
        self.header("etag").map(str::to_owned).with_context(|| format!("{}: no ETag", self.line))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const DOCUMENT: &str =
        r#"{"type":"about:blank","title":"Conflict","status":409,"code":"out_of_stock","detail":"d"}"#;

    fn answer(status: u16, content_type: &'static str, body: &str) -> Answer {
        let headers = HeaderMap::from_iter([(reqwest::header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        let status = StatusCode::from_u16(status).unwrap();
        Answer { line: "POST /x".to_owned(), status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_problem_document_is_recognised() {
        answer(409, "application/problem+json", DOCUMENT).expect_problem(409, "out_of_stock").unwrap();
    }

    #[test]
    fn half_a_problem_document_is_none() {
        assert!(answer(404, "application/problem+json", DOCUMENT).problem().is_err());
        assert!(answer(409, "application/json", DOCUMENT).problem().is_err());
        assert!(answer(409, "application/problem+json", &DOCUMENT.replace("detail", "x")).problem().is_err());
    }

    #[test]
    fn an_unexpected_answer_shows_request_and_body() {
        let error = answer(500, "text/plain", "broken").expect(200).unwrap_err();
        assert_eq!(error.to_string(), "POST /x: 500 Internal Server Error instead of 200: broken");
    }
}
