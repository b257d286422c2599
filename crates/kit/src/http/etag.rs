//! Optimistic locking: the version of a resource is its entity tag (RFC 9110, sections 8.8.3 and 13.1.1).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};

use super::Problem;

/// The version of a resource, as the header `ETag: "7"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETag(pub i64);

/// The versions a client is ready to overwrite, from the header `If-Match`. Missing, the answer is 428.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whatever is there.
    Any,
    /// One of these.
    Versions(Vec<i64>),
}

impl ETag {
    /// The header's value.
    #[must_use]
    pub fn value(self) -> HeaderValue {
        HeaderValue::try_from(format!("\"{}\"", self.0)).expect("a quoted number is a header value")
    }
}

impl IntoResponseParts for ETag {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().insert(header::ETAG, self.value());
        Ok(parts)
    }
}

impl IfMatch {
    /// 412 unless the client has seen `current`.
    pub fn check(&self, current: i64) -> Result<(), Problem> {
        let seen = match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&current),
        };
        if seen {
            Ok(())
        } else {
            let detail = "it was changed by someone else: read it again, then repeat the change with its new ETag";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale", detail))
        }
    }

    fn from_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        let values = headers.get_all(header::IF_MATCH);
        let mut versions = Vec::new();
        let mut present = false;
        for value in values {
            present = true;
            let text = value.to_str().unwrap_or_default();
            for tag in text.split(',').map(str::trim) {
                if tag == "*" {
                    return Ok(Self::Any);
                }
                // A tag that is not a version of ours, or a weak one, matches nothing (strong comparison).
                let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                versions.extend(version.and_then(|version| version.parse::<i64>().ok()));
            }
        }
        if present {
            Ok(Self::Versions(versions))
        } else {
            let detail = "send the ETag of the version you have read in the header If-Match";
            Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", detail))
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::from_headers(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> IfMatch {
        IfMatch::from_headers(&HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(value))])).unwrap()
    }

    #[test]
    fn a_version_that_was_seen_may_be_overwritten() {
        assert!(read(r#""6", "7""#).check(7).is_ok());
        assert!(read("*").check(7).is_ok());
    }

    #[test]
    fn a_stale_foreign_or_weak_tag_is_412() {
        for tag in [r#""6""#, "7", r#"W/"7""#, "junk", r#""""#] {
            assert_eq!(read(tag).check(7).unwrap_err().status(), StatusCode::PRECONDITION_FAILED, "{tag}");
        }
    }

    #[test]
    fn a_write_without_the_header_is_428() {
        let problem = IfMatch::from_headers(&HeaderMap::new()).unwrap_err();
        assert_eq!(problem.status(), StatusCode::PRECONDITION_REQUIRED);
    }
}
