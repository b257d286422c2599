//! What was found out about objects of others that no watch shows whole, until one that tells of their names says that they
//! changed.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Findings about Secrets, by namespace and name. What is kept must not be secret.
#[derive(Default)]
pub(crate) struct Recall(Mutex<Known>);

#[derive(Default)]
struct Known {
    findings: HashMap<(String, String), Arc<dyn Any + Send + Sync>>,
    /// How often a change was told.
    changes: u64,
}

/// A moment before something was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before(u64);

impl Recall {
    /// What was found, if nothing has changed since.
    pub(crate) fn get<T: Clone + 'static>(&self, namespace: &str, name: &str) -> Option<T> {
        let known = self.lock();
        known.findings.get(&key(namespace, name))?.downcast_ref().cloned()
    }

    /// This moment.
    pub(crate) fn now(&self) -> Before {
        Before(self.lock().changes)
    }

    /// Keeps what was read after that moment, unless a change was told meanwhile: then it may be old, and what was known before
    /// is so surely.
    pub(crate) fn keep<T: Clone + Send + Sync + 'static>(
        &self,
        Before(changes): Before,
        namespace: &str,
        name: &str,
        finding: T,
    ) {
        let mut known = self.lock();
        if known.changes == changes {
            known.findings.insert(key(namespace, name), Arc::new(finding));
        } else {
            known.findings.remove(&key(namespace, name));
        }
    }

    /// The Secret changed.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        let mut known = self.lock();
        known.changes += 1;
        known.findings.remove(&key(namespace, name));
    }

    /// Any of them may have changed.
    pub(super) fn forget_all(&self) {
        let mut known = self.lock();
        known.changes += 1;
        known.findings.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(namespace: &str, name: &str) -> (String, String) {
    (namespace.to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(recall: &Recall) -> Option<u8> {
        recall.get("shop", "redis")
    }

    #[test]
    fn what_was_found_is_known_until_the_secret_changes() {
        let recall = Recall::default();
        recall.keep(recall.now(), "shop", "redis", 7_u8);
        assert_eq!((found(&recall), recall.get::<u8>("elsewhere", "redis")), (Some(7), None));
        recall.forget("shop", "other");
        assert_eq!(found(&recall), Some(7));
        recall.forget("shop", "redis");
        assert_eq!(found(&recall), None);
    }

    #[test]
    fn what_was_read_while_a_change_came_is_not_kept() {
        let recall = Recall::default();
        let before = recall.now();
        recall.forget("shop", "redis");
        recall.keep(before, "shop", "redis", 7_u8);
        assert_eq!(found(&recall), None);
        recall.keep(recall.now(), "shop", "redis", 8_u8);
        recall.forget_all();
        assert_eq!(found(&recall), None);
        recall.keep(recall.now(), "shop", "redis", 9_u8);
        let before = recall.now();
        recall.forget("shop", "other");
        recall.keep(before, "shop", "redis", 10_u8);
        assert_eq!(found(&recall), None, "something newer than this has been read");
    }
}
