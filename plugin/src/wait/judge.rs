//! Whether a store is as wanted. Pure.

use api::{Reason, Store};

use crate::{cli::Goal, status::verdict};

/// What is to be said of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is as wanted.
    Done(String),
    /// It is not yet.
    Waiting(String),
    /// It is not, and somebody has to do something.
    Stuck(String),
    /// It can never be.
    Never(String),
}

impl Judgement {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Done(text) | Self::Waiting(text) | Self::Stuck(text) | Self::Never(text) => text,
        }
    }

    /// Whether there is nothing to wait for any more. `fail_fast`: nor for somebody to act.
    pub(crate) fn is_hopeless(&self, fail_fast: bool) -> bool {
        matches!(self, Self::Never(_)) || (fail_fast && matches!(self, Self::Stuck(_)))
    }
}

/// Judges the store, `None` where there is none.
pub(crate) fn judge(store: Option<&Store>, goal: Goal) -> Judgement {
    let condition = match (goal, store) {
        (Goal::Gone, None) => return Judgement::Done("it is gone".to_owned()),
        (Goal::Gone, Some(store)) => return going(store),
        (_, None) => return Judgement::Never("it has been deleted".to_owned()),
        (_, Some(store)) if store.metadata.deletion_timestamp.is_some() => {
            return Judgement::Never("it is being deleted".to_owned());
        }
        (Goal::Suspended, Some(store)) if !store.spec.suspend => {
            return Judgement::Stuck("spec.suspend is not set: use `kubectl greencommerce suspend`".to_owned());
        }
        (Goal::Ready | Goal::Upgraded, Some(store)) if store.spec.suspend => {
            return Judgement::Stuck("it sleeps on request: use `kubectl greencommerce resume`".to_owned());
        }
        (Goal::Ready, Some(store)) => verdict(&store.metadata, store.status.as_ref(), "Ready"),
        (Goal::Upgraded, Some(store)) => verdict(&store.metadata, store.status.as_ref(), "Upgraded"),
        (Goal::Suspended, Some(store)) => verdict(&store.metadata, store.status.as_ref(), "Suspended"),
    };
    let text = format!("{}: {}", condition.reason, condition.message);
    match (condition.status, Reason::parse(condition.reason)) {
        ("True", _) => Judgement::Done(text),
        (_, Some(reason)) if needs_a_hand(reason) => Judgement::Stuck(text),
        _ => Judgement::Waiting(text),
    }
}

fn going(store: &Store) -> Judgement {
    if store.metadata.deletion_timestamp.is_none() {
        return Judgement::Stuck("nobody has deleted it".to_owned());
    }
    let finalizers = store.metadata.finalizers.clone().unwrap_or_default().join(", ");
    Judgement::Waiting(format!("it is being deleted, and held back by {finalizers}"))
}

/// Whether somebody has to act. What is merely away, or starts again by itself, may come back.
fn needs_a_hand(reason: Reason) -> bool {
    let may_pass = matches!(
        reason,
        Reason::DatabaseUnreachable
            | Reason::BrokerUnreachable
            | Reason::CacheUnreachable
            | Reason::ApplyFailed
            | Reason::ReadFailed
            | Reason::CrashLooping
            | Reason::ProbeFailing
            | Reason::Unschedulable
    );
    reason.is_failure() && !may_pass
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A store of generation 3 with one condition, of generation `observed`.
    fn store(type_: &str, status: &str, reason: &str, observed: i64) -> Store {
        serde_json::from_value(json!({
            "metadata": {"name": "green", "generation": 3},
            "spec": {"version": "1.0.0"},
            "status": {"observedGeneration": observed, "conditions": [{
                "type": type_, "status": status, "reason": reason, "message": "so it is",
                "observedGeneration": observed, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn ready_counts_only_at_the_present_generation() {
        let text = "AllReady: so it is".to_owned();
        assert_eq!(judge(Some(&store("Ready", "True", "AllReady", 3)), Goal::Ready), Judgement::Done(text));
        let old = judge(Some(&store("Ready", "True", "AllReady", 2)), Goal::Ready);
        assert!(matches!(&old, Judgement::Waiting(text) if text.contains("generation 3")), "{old:?}");
        let mut half = store("Ready", "True", "AllReady", 3);
        half.status.as_mut().unwrap().conditions[0].observed_generation = Some(2);
        assert!(matches!(judge(Some(&half), Goal::Ready), Judgement::Waiting(_)));
    }

    #[test]
    fn a_store_that_nobody_has_looked_at_is_waited_for() {
        let mut fresh = store("Ready", "True", "AllReady", 3);
        fresh.status = None;
        assert!(matches!(judge(Some(&fresh), Goal::Ready), Judgement::Waiting(_)));
    }

    #[test]
    fn what_needs_a_hand_is_told_from_what_may_pass() {
        let judged = |reason| judge(Some(&store("Ready", "False", reason, 3)), Goal::Ready);
        for reason in ["ImagePullFailed", "SecretMissing", "MigrationFailed", "NameTaken"] {
            assert!(matches!(judged(reason), Judgement::Stuck(_)), "{reason}");
        }
        for reason in ["RollingOut", "PodsStarting", "BrokerUnreachable", "CrashLooping", "SomethingNew"] {
            assert!(matches!(judged(reason), Judgement::Waiting(_)), "{reason}");
        }
    }

    #[test]
    fn each_goal_looks_at_its_own_condition() {
        assert!(matches!(judge(Some(&store("Upgraded", "True", "UpToDate", 3)), Goal::Upgraded), Judgement::Done(_)));
        assert!(matches!(judge(Some(&store("Ready", "True", "AllReady", 3)), Goal::Upgraded), Judgement::Waiting(_)));
        let mut asleep = store("Suspended", "True", "Suspended", 3);
        asleep.spec.suspend = true;
        assert!(matches!(judge(Some(&asleep), Goal::Suspended), Judgement::Done(_)));
        assert!(matches!(judge(Some(&asleep), Goal::Ready), Judgement::Stuck(_)));
        asleep.spec.suspend = false;
        assert!(matches!(judge(Some(&asleep), Goal::Suspended), Judgement::Stuck(_)));
    }

    #[test]
    fn a_store_that_goes_is_never_ready_and_soon_gone() {
        let mut going = store("Ready", "True", "AllReady", 3);
        assert!(matches!(judge(Some(&going), Goal::Gone), Judgement::Stuck(_)));
        going.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert!(matches!(judge(Some(&going), Goal::Ready), Judgement::Never(_)));
        assert!(matches!(judge(Some(&going), Goal::Gone), Judgement::Waiting(_)));
        assert!(matches!(judge(None, Goal::Ready), Judgement::Never(_)));
        assert!(matches!(judge(None, Goal::Gone), Judgement::Done(_)));
    }
}
