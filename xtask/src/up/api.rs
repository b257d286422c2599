//! The shop's public API, as a client sees it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

const TIME_OUT: Duration = Duration::from_secs(15);
/// How long a shop that was Ready a moment ago may take to answer: node ports follow the pods by a second or two.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(250);

/// A client without a session.
pub(crate) struct Api {
    base: String,
    agent: ureq::Agent,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Api {
    pub(crate) fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIME_OUT)).http_status_as_error(false).build();
        Self { base: base.to_owned(), agent: config.into() }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.retrying(path, || self.agent.get(format!("{}{path}", self.base)).call())
    }

    /// The request may be sent again after a failure: either it is harmless, or it carries an idempotency key.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer> {
        self.retrying(path, || {
            let request = self.agent.post(format!("{}{path}", self.base));
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send_json(body)
        })
    }

    /// An access token, or `None` when the shop knows no such account or another password.
    pub(crate) fn log_in(&self, email: &str, password: &str) -> Result<Option<String>> {
        let Answer { status, body } =
            self.post("/api/auth/login", &[], &json!({"email": email, "password": password}))?;
        match (status, body["access_token"].as_str()) {
            (200, Some(token)) => Ok(Some(token.to_owned())),
            (401, _) => Ok(None),
            _ => bail!("POST {}/api/auth/login answered {status}: {}", self.base, body["detail"]),
        }
    }

    fn retrying(
        &self,
        path: &str,
        send: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer> {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        loop {
            let outcome = send();
            let passing = match &outcome {
                Ok(response) => matches!(response.status().as_u16(), 502..=504),
                Err(_) => true,
            };
            if passing && Instant::now() < deadline {
                thread::sleep(POLL);
                continue;
            }
            let mut response = outcome.with_context(|| format!("{}{path} does not answer", self.base))?;
            let status = response.status().as_u16();
            let body = response.body_mut().read_json().unwrap_or_default();
            return Ok(Answer { status, body });
        }
    }
}
