//! Writes that may be sent again, by their `Idempotency-Key`.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use db::idempotency::{Answer, Claim, Request};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use types::UserId;
use uuid::Uuid;

use super::{ETag, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How long a try holds its claim before another may take over: longer than any request may take.
const LEASE: Duration = Duration::from_secs(30);

/// The client's key for this request: 1 to 255 visible characters. As `Option<IdempotencyKey>` where it may be left out;
/// where it may not, its absence is 400.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    key: String,
    route: String,
}

/// A request that is claimed by its key.
#[derive(Debug, Clone)]
pub struct Idempotent {
    request: Request,
    subject: Uuid,
}

impl IdempotencyKey {
    /// Claims the request of `caller` with `body`, under `new_subject` unless an earlier try has set its subject: the id of
    /// what is created. `Err` is the answer: the one given before, or a problem.
    ///
    /// Where the effect is written in the transaction of `conn`, nothing else is needed than [`Idempotent::complete`]
    /// before its commit. Where other services are called first, commit this claim in a transaction of its own.
    pub async fn claim(
        self,
        conn: &mut PgConnection,
        caller: UserId,
        body: &impl Serialize,
        new_subject: impl Into<Uuid> + Send,
    ) -> Result<Idempotent, Response> {
        let content = serde_json::to_vec(body).expect("bodies are plain data");
        let request = Request::new(format!("{caller} {}", self.route), self.key, &content);
        match request.claim(conn, new_subject.into(), LEASE).await {
            Ok(Claim::Proceed { subject }) => Ok(Idempotent { request, subject }),
            Ok(Claim::Replay(answer)) => Err(replay(&answer)),
            Ok(Claim::Mismatch) => Err(mismatch().into_response()),
            Ok(Claim::InFlight) => Err(in_flight().into_response()),
            Err(error) => Err(Problem::from(error).into_response()),
        }
    }

    /// The key and its route as one short text without special characters, for services that keep their keys elsewhere
    /// than in PostgreSQL.
    #[must_use]
    pub fn digest(&self) -> String {
        let digest = Sha256::digest(format!("{}\n{}", self.route, self.key));
        digest.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
    }

    fn from_parts(parts: &Parts) -> Result<Option<Self>, Problem> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
        let key = key.ok_or_else(|| {
            Problem::bad_request("invalid_idempotency_key", "Idempotency-Key must be 1 to 255 visible ASCII characters")
        })?;
        Ok(Some(Self { key: key.to_owned(), route: route(&parts.method, parts) }))
    }
}

impl Idempotent {
    /// The id of what the request creates: the same however often it is tried.
    #[must_use]
    pub const fn subject(&self) -> Uuid {
        self.subject
    }

    /// Keeps a success in the transaction of its effect, and gives it. A claim that was lost in the meantime is 409: then
    /// the transaction must not be committed.
    pub async fn complete<T: Serialize>(
        &self,
        conn: &mut PgConnection,
        status: StatusCode,
        etag: Option<ETag>,
        body: &T,
    ) -> Result<Response, Problem> {
        let headers = etag.map(|ETag(version)| version);
        let content = json!({ "etag": headers, "body": body });
        self.keep(conn, Answer { status: status.as_u16(), content }).await
    }

    /// Keeps a refusal that trying again would not change, and gives it.
    pub async fn refuse(&self, conn: &mut PgConnection, problem: Problem) -> Result<Response, Problem> {
        let content = json!({ "etag": null, "problem": true, "body": problem.to_json() });
        self.keep(conn, Answer { status: problem.status().as_u16(), content }).await
    }

    /// Lets the claim go, so that the client may try again at once.
    pub async fn abandon(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.request.abandon(conn).await
    }

    async fn keep(&self, conn: &mut PgConnection, answer: Answer) -> Result<Response, Problem> {
        if self.request.complete(conn, &answer).await? { Ok(replay(&answer)) } else { Err(in_flight()) }
    }
}

/// Keeps the answer of a request that may have come with a key, in the transaction of its effect, and gives it.
pub async fn answer_once<T: Serialize>(
    claimed: Option<&Idempotent>,
    conn: &mut PgConnection,
    status: StatusCode,
    etag: Option<ETag>,
    body: &T,
) -> Result<Response, Problem> {
    match claimed {
        Some(claimed) => claimed.complete(conn, status, etag, body).await,
        None => Ok((status, etag, axum::Json(body)).into_response()),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::from_parts(parts)?.ok_or_else(|| {
            let detail = "send a header Idempotency-Key with a value of your own for this request, such as a UUID";
            Problem::bad_request("idempotency_key_required", detail)
        })
    }
}

impl<S: Send + Sync> axum::extract::OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::from_parts(parts)
    }
}

fn route(method: &Method, parts: &Parts) -> String {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    format!("{method} {}", uri.path())
}

/// An answer from what was kept of it. First and later tries get it from here, so that they cannot differ.
fn replay(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    if let Some(version) = answer.content["etag"].as_i64() {
        headers.insert(header::ETAG, ETag(version).value());
    }
    let content_type = if answer.content["problem"] == true { "application/problem+json" } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    (status, headers, answer.content["body"].to_string()).into_response()
}

fn mismatch() -> Problem {
    let detail = "this Idempotency-Key was used for another request: use a new one";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail)
}

fn in_flight() -> Problem {
    Problem::conflict("request_in_flight", "the same request is being worked on: try again in a moment")
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}
