//! The API server over plain HTTP, through `kubectl proxy`: light enough to be polled.

use std::{fmt, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
};

use crate::Kubectl;

const MERGE_PATCH: &str = "application/merge-patch+json";

/// The API server, as its administrator.
#[derive(Debug)]
pub struct Api {
    base: String,
    http: reqwest::Client,
    /// Ends with this value.
    _proxy: Child,
}

/// The API server said no.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// What it said.
    pub message: String,
}

impl Api {
    pub(crate) async fn start(kubectl: &Kubectl) -> Result<Self> {
        let mut proxy = kubectl
            .command(["proxy", "--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start kubectl: is the cluster up? `cargo xtask up` makes it")?;
        let stdout = proxy.stdout.take().context("kubectl proxy has no output")?;
        let mut first = String::new();
        BufReader::new(stdout).read_line(&mut first).await.context("kubectl proxy does not speak")?;
        let address = first.trim().rsplit(' ').next().filter(|address| address.contains(':'));
        let address = address.with_context(|| format!("kubectl proxy does not serve: {first:?}"))?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { base: format!("http://{address}"), http, _proxy: proxy })
    }

    /// The object or list at `path`.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// The object at `path`, or `None` where there is none.
    pub async fn find(&self, path: &str) -> Result<Option<Value>> {
        match self.get(path).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The text at `path`: what a pod or service behind the API server answers.
    pub async fn text(&self, path: &str) -> Result<String> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        if !status.is_success() {
            bail!("GET {path}: {status}: {text}");
        }
        Ok(text)
    }

    /// Creates an object in the list at `path`.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(("application/json", object))).await
    }

    /// Merges `change` into the object at `path`.
    pub async fn patch(&self, path: &str, change: &Value) -> Result<Value> {
        self.call(Method::PATCH, &format!("{path}?fieldManager=e2e"), Some((MERGE_PATCH, change))).await
    }

    /// Deletes the object at `path`; nothing there is fine.
    pub async fn delete(&self, path: &str) -> Result<()> {
        match self.call(Method::DELETE, path, None).await {
            Ok(_) => Ok(()),
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<(&str, &Value)>) -> Result<Value> {
        let line = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some((kind, value)) = body {
            request = request.header("content-type", kind).body(serde_json::to_vec(value)?);
        }
        let response = request.send().await.with_context(|| line.clone())?;
        let (status, bytes) = (response.status(), response.bytes().await.with_context(|| line.clone())?);
        if status.is_success() {
            return serde_json::from_slice(&bytes).with_context(|| format!("{line}: no JSON"));
        }
        Err(refusal(status, &bytes)).context(line)
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> Refused {
    let document: Option<Value> = serde_json::from_slice(body).ok();
    let message = document.as_ref().and_then(|document| document["message"].as_str()).map(str::to_owned);
    Refused {
        status: status.as_u16(),
        message: message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned()),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_api_server_said() {
        let refused = refusal(StatusCode::FORBIDDEN, br#"{"kind":"Status","message":"no pods here","code":403}"#);
        assert_eq!(refused.to_string(), "403: no pods here");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"dial tcp\n").message, "dial tcp");
    }
}
