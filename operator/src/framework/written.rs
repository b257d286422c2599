//! What one reconciliation has written, so that one that fails halfway is seen to have got on.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// The children and finalizers that one reconciliation wrote. What it reports of itself, in its status and in events, is
/// no work done and does not count.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<BTreeSet<String>>>);

impl Written {
    /// Notes a write that was done.
    pub(super) fn note(&self, verb: &'static str, object: &str) {
        self.0.lock().expect("no code panics while holding this lock").insert(format!("{verb} {object}"));
    }

    /// What has been noted so far.
    pub(super) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().expect("no code panics while holding this lock"))
    }
}
