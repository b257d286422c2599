//! What a topic's status says. Pure.

use api::{ConditionType, Reason, StoreTopicStatus};

use super::{brokers::Outcome, plan::Refusal};
use crate::framework::Finding;

/// The status without its conditions, and what was found for them.
pub(super) fn status(topic: &str, outcome: &Outcome) -> (StoreTopicStatus, Vec<Finding>) {
    let partitions = i32::try_from(outcome.observed.partitions).ok();
    let status = StoreTopicStatus { partitions, ..StoreTopicStatus::default() };
    let finding = match outcome.refusals.first() {
        None => Finding::yes(ConditionType::Ready, Reason::AllReady, format!("topic {topic} is as described")),
        Some(first) => {
            let messages: Vec<String> = outcome.refusals.iter().map(ToString::to_string).collect();
            Finding::no(ConditionType::Ready, reason(first), messages.join("; "))
        }
    };
    (status, vec![finding])
}

/// What is found as long as the broker starts.
pub(super) fn waiting() -> Vec<Finding> {
    vec![Finding::no(ConditionType::Ready, Reason::PodsStarting, "the broker is starting")]
}

/// The brokers sleep.
pub(super) fn suspended() -> Vec<Finding> {
    vec![Finding::no(ConditionType::Ready, Reason::Suspended, "the store sleeps, and the topic is kept")]
}

fn reason(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::FewerPartitions { .. } => Reason::PartitionsCannotShrink,
        Refusal::OtherReplicas { .. } => Reason::ReplicasDiffer,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::plan::Observed, *};

    fn outcome(refusals: Vec<Refusal>) -> Outcome {
        let observed = Observed { partitions: 6, replicas: 1, config: [].into() };
        Outcome { observed, made: vec![], refusals }
    }

    #[test]
    fn a_topic_as_described_is_ready() {
        let (status, findings) = status("order.events", &outcome(vec![]));
        assert_eq!(status.partitions, Some(6));
        assert!(findings[0].holds);
    }

    #[test]
    fn a_refusal_makes_it_unready_and_says_what_to_do() {
        let refusals = vec![Refusal::FewerPartitions { have: 6, want: 3 }, Refusal::OtherReplicas { have: 1, want: 3 }];
        let (status, findings) = status("order.events", &outcome(refusals));
        assert_eq!(status.partitions, Some(6));
        assert_eq!((findings[0].holds, findings[0].reason), (false, Reason::PartitionsCannotShrink));
        for part in ["Set partitions to at least 6", "set replicas to 1"] {
            assert!(findings[0].message.contains(part), "{}", findings[0].message);
        }
    }
}
