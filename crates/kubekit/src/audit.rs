//! The API server's audit log: who wrote what.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::state::anywhere;

/// The log file. It holds writes only.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
    known: Arc<Mutex<Known>>,
}

/// What has been read of the log. Many look at it many times a second, so each line is read once.
#[derive(Debug, Default)]
struct Known {
    /// How far, in bytes.
    end: u64,
    /// Writes by namespace, each with the place where its line begins.
    writes: HashMap<String, Vec<(u64, Write)>>,
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
        Self { path: path.to_path_buf(), known: Arc::default() }
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
        let known = self.known();
        let mut all: Vec<_> = known.writes.values().flat_map(|writes| after(writes, mark)).collect();
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, write)| write.clone()).collect()
    }

    /// How often anybody wrote in `namespace`: as long as it stays the same, so does all that is there.
    #[must_use]
    pub fn count(&self, namespace: &str) -> usize {
        self.known().writes.get(namespace).map_or(0, Vec::len)
    }

    /// What operators wrote in `namespace` since then, apart from their leases.
    #[must_use]
    pub fn by_operators(&self, namespace: &str, since: Mark) -> Vec<Write> {
        let known = self.known();
        let writes = known.writes.get(namespace).map(Vec::as_slice).unwrap_or_default();
        let theirs = |(_, write): &&(u64, Write)| write.is_by_operator() && !write.is_lease();
        after(writes, since).iter().filter(theirs).map(|(_, write)| write.clone()).collect()
    }

    /// What the log holds by now.
    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = File::open(&self.path).expect("the audit log can be read");
        file.seek(SeekFrom::Start(known.end)).expect("the audit log only grows");
        let mut text = Vec::new();
        file.read_to_end(&mut text).expect("the audit log can be read");
        known.add(&text);
        known
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

impl Known {
    /// Takes up what was added to the log. A line that is not whole yet is left for the next time.
    fn add(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            if let Some(write) = parse(line) {
                self.writes.entry(write.namespace.clone()).or_default().push((self.end, write));
            }
            self.end += line.len() as u64;
        }
    }
}

/// Those of the writes whose lines begin at the mark or after it.
fn after(writes: &[(u64, Write)], Mark(offset): Mark) -> &[(u64, Write)] {
    &writes[writes.partition_point(|(place, _)| *place < offset)..]
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

/// A line of the log, if the request is finished.
fn parse(line: &[u8]) -> Option<Write> {
    let entry: Value = serde_json::from_slice(line).ok()?;
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

    #[test]
    fn what_is_added_is_found_after_its_mark_and_a_torn_line_once_it_is_whole() {
        let path = std::env::temp_dir().join(format!("kubekit-audit-growing-{}", std::process::id()));
        let whole = line("operator-1", "patch", "services", "x", 200);
        fs::write(&path, format!("{whole}\n")).unwrap();
        let audit = Audit::new(&path);
        assert_eq!((audit.count("a"), audit.count("b")), (1, 0));
        let mark = audit.mark();
        let (head, tail) = whole.split_at(40);
        fs::write(&path, format!("{whole}\n{head}")).unwrap();
        assert_eq!(audit.count("a"), 1);
        fs::write(&path, format!("{whole}\n{head}{tail}\n")).unwrap();
        assert_eq!((audit.count("a"), audit.by_operators("a", mark).len(), audit.since(mark).len()), (2, 1, 1));
        fs::remove_file(path).unwrap();
    }
}
