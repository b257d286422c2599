//! What must be asked of the brokers so that a topic is as wanted. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A topic as the resource wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Number of partitions.
    pub partitions: u32,
    /// Copies of each partition.
    pub replicas: u32,
    /// Settings that differ from the brokers' defaults. The list is whole: other settings are reset.
    pub config: BTreeMap<String, String>,
}

/// A topic as the brokers hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Number of partitions.
    pub partitions: u32,
    /// Copies of each partition; the smallest number where partitions differ.
    pub replicas: u32,
    /// Settings made on the topic itself.
    pub config: BTreeMap<String, String>,
}

/// One request to the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes the topic with all its settings.
    Create,
    /// Adds partitions until there are so many.
    AddPartitions {
        /// The number afterwards.
        total: u32,
    },
    /// Replaces the topic's own settings by the wanted ones; what is not among them goes back to the default.
    ReplaceConfig,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create the topic"),
            Self::AddPartitions { total } => write!(f, "add partitions up to {total}"),
            Self::ReplaceConfig => f.write_str("replace the topic's settings"),
        }
    }
}

/// Something wanted that no request can give without losing data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Kafka cannot take partitions away.
    #[error(
        "the topic has {have} partitions and Kafka cannot remove any: its events would be lost and keys would move. \
         Set partitions to at least {have}, or delete the topic and make it anew"
    )]
    FewerPartitions {
        /// Partitions there are.
        have: u32,
        /// Partitions wanted.
        want: u32,
    },
    /// Moving copies between brokers is a job for an administrator.
    #[error(
        "the topic has {have} replicas of each partition, not {want}: this operator does not move replicas between \
         brokers. Reassign the partitions with kafka-reassign-partitions.sh, or set replicas (of a \
         Store: kafka.external.topicReplicas) to {have}"
    )]
    OtherReplicas {
        /// Replicas there are.
        have: u32,
        /// Replicas wanted.
        want: u32,
    },
}

/// What to do, and what cannot be done. What can be done is done in spite of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// Requests, in order.
    pub actions: Vec<Action>,
    /// Wishes that are refused.
    pub refusals: Vec<Refusal>,
}

/// Compares what is wanted with what there is; `observed` is `None` when the topic does not exist.
#[must_use]
pub fn plan(desired: &Desired, observed: Option<&Observed>) -> Plan {
    let Some(observed) = observed else {
        return Plan { actions: vec![Action::Create], refusals: vec![] };
    };
    let mut plan = Plan::default();
    let (have, want) = (observed.partitions, desired.partitions);
    if want > have {
        plan.actions.push(Action::AddPartitions { total: want });
    } else if want < have {
        plan.refusals.push(Refusal::FewerPartitions { have, want });
    }
    let (have, want) = (observed.replicas, desired.replicas);
    if want != have {
        plan.refusals.push(Refusal::OtherReplicas { have, want });
    }
    if desired.config != observed.config {
        plan.actions.push(Action::ReplaceConfig);
    }
    plan
}

/// Names of the settings that are missing, superfluous or of another value.
#[must_use]
pub fn differing_settings(desired: &Desired, observed: &Observed) -> Vec<String> {
    let names: BTreeSet<&String> = desired.config.keys().chain(observed.config.keys()).collect();
    names.into_iter().filter(|name| desired.config.get(*name) != observed.config.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn desired() -> Desired {
        Desired { partitions: 3, replicas: 1, config: config(&[("retention.ms", "1000")]) }
    }

    fn observed() -> Observed {
        Observed { partitions: 3, replicas: 1, config: config(&[("retention.ms", "1000")]) }
    }

    #[test]
    fn a_missing_topic_is_created() {
        assert_eq!(plan(&desired(), None), Plan { actions: vec![Action::Create], refusals: vec![] });
    }

    #[test]
    fn a_topic_as_wanted_needs_nothing() {
        assert_eq!(plan(&desired(), Some(&observed())), Plan::default());
    }

    #[test]
    fn partitions_grow() {
        let few = Observed { partitions: 1, ..observed() };
        assert_eq!(plan(&desired(), Some(&few)).actions, [Action::AddPartitions { total: 3 }]);
    }

    #[test]
    fn partitions_never_shrink_but_the_rest_is_still_put_right() {
        let many = Observed { partitions: 6, config: config(&[]), ..observed() };
        assert_eq!(
            plan(&desired(), Some(&many)),
            Plan {
                actions: vec![Action::ReplaceConfig],
                refusals: vec![Refusal::FewerPartitions { have: 6, want: 3 }],
            },
        );
    }

    #[test]
    fn other_replicas_are_refused_in_both_directions() {
        for have in [2, 0] {
            let other = Observed { replicas: have, ..observed() };
            assert_eq!(plan(&desired(), Some(&other)).refusals, [Refusal::OtherReplicas { have, want: 1 }]);
        }
    }

    #[test]
    fn a_setting_that_was_changed_added_or_removed_by_hand_is_put_right() {
        for drifted in [&[("retention.ms", "5")][..], &[], &[("retention.ms", "1000"), ("cleanup.policy", "compact")]] {
            let seen = Observed { config: config(drifted), ..observed() };
            assert_eq!(plan(&desired(), Some(&seen)).actions, [Action::ReplaceConfig], "{drifted:?}");
            assert_eq!(differing_settings(&desired(), &seen).len(), 1, "{drifted:?}");
        }
    }
}
