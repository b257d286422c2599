//! Errors as clients see them: RFC 9457 problem documents with a stable `code`. What caused them goes to the log only.

use std::{borrow::Cow, error::Error, fmt};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::telemetry::Chain;

/// An error for the client, and its cause for the log.
pub struct Problem {
    document: Box<Document>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// The document (RFC 9457, section 3.1): `type` is `about:blank`, `code` tells problems apart.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
struct Document {
    /// Always `about:blank`: the title is the meaning of the status.
    r#type: &'static str,
    /// The meaning of the status.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable, for programs: `out_of_stock`.
    code: &'static str,
    /// For people: what is wrong and what to do.
    detail: Cow<'static, str>,
    /// Each field that was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Further members of this kind of problem.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    extension: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A field that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where it stands: `variants[0].price.amount`.
    pub field: String,
    /// What is expected of it.
    pub message: String,
}

impl Problem {
    /// A problem of `status`, told apart by `code`; `detail` is for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let document = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            extension: None,
        };
        Self { document: Box::new(document), headers: Vec::new(), cause: None }
    }

    /// 400: the request could not be read.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: no valid token.
    #[must_use]
    pub fn unauthorized(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the account may not do this.
    #[must_use]
    pub fn forbidden(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: there is no such thing, or it is not the caller's.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 409: what is asked does not go together with how things are.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: understood, but one or more values are not allowed.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation_failed",
            "some fields have values that are not allowed",
        );
        problem.document.errors = errors;
        problem
    }

    /// 422 for one field.
    pub fn invalid_field(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), message: message.to_string() }])
    }

    /// 503 with `Retry-After: 1`: a part of the shop is away for a moment.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 500: our fault. The cause is logged and not shown.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side").caused_by(cause)
    }

    /// The same problem with a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same problem with a further member in its document.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("members of problems are plain data");
        self.document.extension.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    /// The same problem with its cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.document.status).expect("made from a status")
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.document.code
    }

    /// The document as JSON, for answers that are kept.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&*self.document).expect("problems are plain data")
    }

    fn log(&self) {
        let Document { status, code, detail, .. } = &*self.document;
        let cause = self.cause.as_ref().map(|cause| Chain(&**cause).to_string()).unwrap_or_default();
        if *status >= 500 {
            tracing::error!(status, code, %detail, cause, "request failed");
        } else {
            tracing::debug!(status, code, %detail, cause, "request refused");
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if db::is_transient(&error) {
            Self::unavailable("the database does not answer, try again").caused_by(error)
        } else {
            Self::internal(error)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.log();
        let body = serde_json::to_vec(&*self.document).expect("problems are plain data");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem").field("document", &self.document).field("cause", &self.cause).finish_non_exhaustive()
    }
}

impl utoipa::PartialSchema for Problem {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Document::schema()
    }
}

impl utoipa::ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
        Document::schemas(schemas);
    }
}
