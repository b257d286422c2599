//! The API server's audit log: who wrote what.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::state::anywhere;

/// The log file. It holds writes only.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
}

/// A moment in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

impl Mark {
    /// Before everything.
    pub const BEGINNING: Self = Self(0);
}

/// One finished write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Who wrote, for example `operator-3`.
    pub user: String,
    /// How: `create`, `patch`, `delete` ….
    pub verb: String,
    /// What: `deployments`, or `storeservices/status`.
    pub resource: String,
    /// Where.
    pub namespace: String,
    /// Which one; empty where the API server chooses the name.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u64,
    /// When the answer was complete (RFC 3339, with microseconds).
    pub at: String,
}

/// How often an object was made and deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lives {
    /// Times it was made.
    pub created: u32,
    /// Times it was deleted.
    pub deleted: u32,
}

impl Audit {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// This moment.
    ///
    /// # Panics
    ///
    /// When there is no log.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.path.metadata().expect("there is an audit log").len())
    }

    /// Everything that was written since then.
    ///
    /// # Panics
    ///
    /// When the log cannot be read.
    #[must_use]
    pub fn since(&self, mark: Mark) -> Vec<Write> {
        self.lines_with("", mark)
    }

    /// Those of the lines with this text, the others unread: a log of many tests is long.
    fn lines_with(&self, text: &str, Mark(offset): Mark) -> Vec<Write> {
        let mut file = File::open(&self.path).expect("the audit log can be read");
        file.seek(SeekFrom::Start(offset)).expect("the audit log only grows");
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        lines.filter(|line| line.contains(text)).filter_map(|line| parse(&line)).collect()
    }

    /// What operators wrote in `namespace` since then, apart from their leases.
    #[must_use]
    pub fn by_operators(&self, namespace: &str, since: Mark) -> Vec<Write> {
        let theirs = |write: &Write| write.namespace == namespace && write.is_by_operator() && !write.is_lease();
        self.lines_with(namespace, since).into_iter().filter(theirs).collect()
    }

    /// How often operators made and deleted each object of `namespace` since then. Events are not objects that anybody
    /// depends on. The namespace's own name in an object's is `NAMESPACE`.
    #[must_use]
    pub fn lives(&self, namespace: &str, since: Mark) -> BTreeMap<String, Lives> {
        let mut lives: BTreeMap<String, Lives> = BTreeMap::new();
        for write in self.by_operators(namespace, since).iter().filter(|write| write.resource != "events") {
            let object = || format!("{}/{}", write.resource, anywhere(namespace, &write.name));
            if write.creates() {
                lives.entry(object()).or_default().created += 1;
            } else if write.deletes() {
                lives.entry(object()).or_default().deleted += 1;
            }
        }
        lives
    }
}

impl Write {
    /// Whether an operator wrote it.
    #[must_use]
    pub fn is_by_operator(&self) -> bool {
        self.user.starts_with("operator-")
    }

    /// Whether it is a sign of life of a leader.
    #[must_use]
    pub fn is_lease(&self) -> bool {
        self.resource == "leases"
    }

    /// Whether it made an object: an apply of one that was not there is answered with 201 too.
    #[must_use]
    pub fn creates(&self) -> bool {
        self.code == 201 && !self.resource.contains('/')
    }

    /// Whether it deleted an object.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.verb == "delete" && self.code < 300
    }
}

impl std::fmt::Display for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, verb, resource, namespace, name, code, at } = self;
        write!(f, "{at} {user} {verb} {resource} {namespace}/{name} -> {code}")
    }
}

/// A line of the log, if it is whole and the request is finished.
fn parse(line: &str) -> Option<Write> {
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
    Some(Write {
        user: text(&entry["user"]["username"]),
        verb: text(&entry["verb"]),
        resource,
        namespace: text(&of["namespace"]),
        name: text(&of["name"]),
        code: entry["responseStatus"]["code"].as_u64().unwrap_or_default(),
        at: text(&entry["stageTimestamp"]),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn line(user: &str, verb: &str, resource: &str, name: &str, code: u64) -> String {
        serde_json::json!({
            "stage": "ResponseComplete", "verb": verb, "user": {"username": user},
            "objectRef": {"resource": resource, "namespace": "a", "name": name},
            "responseStatus": {"code": code}, "stageTimestamp": "2026-01-01T00:00:00.000000Z",
        })
        .to_string()
    }

    #[test]
    fn what_operators_made_and_deleted_is_counted_by_object() {
        let path = std::env::temp_dir().join(format!("kubekit-audit-{}", std::process::id()));
        let log = [
            line("operator-1", "patch", "services", "x", 201),
            line("operator-1", "patch", "services", "x", 200),
            line("operator-2", "delete", "services", "x", 200),
            line("operator-2", "delete", "services", "x", 409),
            line("operator-2", "create", "events", "", 201),
            line("operator-2", "update", "leases", "x", 200),
            line("puppet", "delete", "services", "x", 200),
            "{\"torn".to_owned(),
        ];
        fs::write(&path, log.join("\n")).unwrap();
        let audit = Audit::new(&path);
        assert_eq!(audit.by_operators("a", Mark::BEGINNING).len(), 5);
        assert!(audit.by_operators("b", Mark::BEGINNING).is_empty());
        let lives = audit.lives("a", Mark::BEGINNING);
        assert_eq!(lives, [("services/x".to_owned(), Lives { created: 1, deleted: 1 })].into());
        assert!(audit.since(audit.mark()).is_empty());
        fs::remove_file(path).unwrap();
    }
}
