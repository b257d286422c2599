//! The API server's audit log: who asked for what.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The log file.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

/// A moment in the log.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// One finished request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asked: `system:serviceaccount:…`, or the name in a certificate.
    pub user: String,
    /// The Pod whose token it asked with, where it is one's.
    pub pod: String,
    /// What for: `get`, `patch`, ….
    pub verb: String,
    /// The API group of what it is about; empty for Kubernetes' core.
    pub group: String,
    /// On what: `deployments` or `pods/exec`.
    pub resource: String,
    /// Which one: `namespace/name`.
    pub object: String,
    /// The address, with its query.
    pub uri: String,
    /// The HTTP status of the answer.
    pub code: u64,
    /// Whether the user had no right to it. Quotas and namespaces that are ending refuse with the same status.
    pub forbidden: bool,
}

impl AuditLog {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// This moment.
    pub fn mark(&self) -> Result<Mark> {
        let metadata = self.path.metadata().with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(Mark(metadata.len()))
    }

    /// Every request since the cluster was made.
    pub fn all(&self) -> Result<Vec<Request>> {
        self.since(Mark(0))
    }

    /// Every request that was finished since then.
    pub fn since(&self, Mark(offset): Mark) -> Result<Vec<Request>> {
        let mut file = File::open(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        file.seek(SeekFrom::Start(offset))?;
        let lines = BufReader::new(file).lines().collect::<Result<Vec<_>, _>>()?;
        Ok(lines.iter().filter_map(|line| parse(line)).collect())
    }

    /// Writes that were tried since then by users whose name starts with `user`.
    pub fn writes_since(&self, mark: Mark, user: &str) -> Result<Vec<Request>> {
        let requests = self.since(mark)?;
        Ok(requests.into_iter().filter(|request| request.user.starts_with(user) && request.is_write()).collect())
    }
}

impl Request {
    /// Whether it would change what the cluster stores. Dry runs do not, and neither do questions put as objects
    /// (access reviews).
    #[must_use]
    pub fn is_write(&self) -> bool {
        let changes = matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        changes && !self.uri.contains("dryRun=All") && !self.resource.ends_with("reviews")
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {} -> {}", self.user, self.verb, self.resource, self.object, self.code)
    }
}

/// A line of the log, if it is whole and the request is finished.
fn parse(line: &str) -> Option<Request> {
    let entry: Value = serde_json::from_str(line).ok()?;
    if entry["stage"] != "ResponseComplete" {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = &entry["objectRef"];
    let resource = match of["subresource"].as_str() {
        Some(part) => format!("{}/{part}", text(&of["resource"])),
        None => text(&of["resource"]),
    };
    Some(Request {
        user: text(&entry["user"]["username"]),
        pod: text(&entry["user"]["extra"]["authentication.kubernetes.io/pod-name"][0]),
        verb: text(&entry["verb"]),
        group: text(&of["apiGroup"]),
        resource,
        object: format!("{}/{}", text(&of["namespace"]), text(&of["name"])),
        uri: text(&entry["requestURI"]),
        code: entry["responseStatus"]["code"].as_u64().unwrap_or_default(),
        forbidden: entry["annotations"]["authorization.k8s.io/decision"] == "forbid",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = r#"{"kind":"Event","stage":"ResponseComplete","verb":"patch","requestURI":"/apis/apps/v1/namespaces/a/deployments/b/status?fieldManager=x",
        "user":{"username":"system:serviceaccount:greencommerce-system:operator",
            "extra":{"authentication.kubernetes.io/pod-name":["operator-5d9c-x2x"]}},
        "annotations":{"authorization.k8s.io/decision":"allow"},
        "objectRef":{"apiGroup":"apps","resource":"deployments","subresource":"status","namespace":"a","name":"b"},"responseStatus":{"code":200}}"#;

    #[test]
    fn a_request_tells_who_did_what_to_what() {
        let request = parse(PATCH).unwrap();
        let text = "system:serviceaccount:greencommerce-system:operator patch deployments/status a/b -> 200";
        assert_eq!(request.to_string(), text);
        assert!(request.is_write() && !request.forbidden);
        assert_eq!((request.group.as_str(), request.pod.as_str()), ("apps", "operator-5d9c-x2x"));
    }

    #[test]
    fn reads_dry_runs_and_reviews_are_no_writes() {
        let of = |from: &str, to: &str| parse(&PATCH.replace(from, to)).unwrap();
        assert!(!of(r#""patch""#, r#""watch""#).is_write());
        assert!(!of("fieldManager=x", "dryRun=All&fieldManager=x").is_write());
        assert!(
            !of(r#""resource":"deployments","subresource":"status""#, r#""resource":"selfsubjectaccessreviews""#)
                .is_write()
        );
    }

    #[test]
    fn only_what_authorization_refuses_is_forbidden() {
        assert!(parse(&PATCH.replace(r#""allow""#, r#""forbid""#)).unwrap().forbidden);
        assert!(!parse(&PATCH.replace(r#""code":200"#, r#""code":403"#)).unwrap().forbidden);
    }

    #[test]
    fn requests_that_are_under_way_and_torn_lines_do_not_count() {
        assert_eq!(parse(&PATCH.replace("ResponseComplete", "ResponseStarted")), None);
        assert_eq!(parse(&PATCH[..80]), None);
    }
}
