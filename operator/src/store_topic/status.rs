//! What a topic's status says. Pure.

use api::{ConditionType, Reason, StoreTopic, StoreTopicStatus};
use kube::ResourceExt;

use super::{brokers::Outcome, plan::Refusal};
use crate::framework::Finding;

/// The status without its conditions, and what was found for them.
pub(super) fn status(topic: &StoreTopic, outcome: &Outcome) -> (StoreTopicStatus, Vec<Finding>) {
    let partitions = i32::try_from(outcome.observed.partitions).ok();
    let status = StoreTopicStatus { partitions, ..StoreTopicStatus::default() };
    let more = outcome.refusals.iter().find(|refusal| is_fine(topic, refusal));
    let refusals: Vec<&Refusal> = outcome.refusals.iter().filter(|refusal| !is_fine(topic, refusal)).collect();
    let name = &topic.spec.topic_name;
    let finding = match (refusals.first(), more) {
        (None, Some(Refusal::FewerPartitions { have, want })) => {
            let message = format!("topic {name} has {have} partitions, more than the {want} that its store asks for");
            Finding::yes(ConditionType::Ready, Reason::AllReady, message)
        }
        (None, _) => Finding::yes(ConditionType::Ready, Reason::AllReady, format!("topic {name} is as described")),
        (Some(first), _) => {
            let messages: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            Finding::no(ConditionType::Ready, reason(first), messages.join("; "))
        }
    };
    (status, vec![finding])
}

/// Whoever describes a Store cannot say how many partitions its topics have, and more of them do no harm.
pub(super) fn is_fine(topic: &StoreTopic, refusal: &Refusal) -> bool {
    let of_a_store = topic.owner_references().iter().any(|owner| owner.kind == "Store");
    of_a_store && matches!(refusal, Refusal::FewerPartitions { .. })
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
    use serde_json::json;

    use super::{super::plan::Observed, *};

    fn topic(owner: Option<&str>) -> StoreTopic {
        let owner = owner.map(|kind| json!([{"apiVersion": "v1", "kind": kind, "name": "green", "uid": "1"}]));
        serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
            "metadata": {"name": "green-order-events", "namespace": "shop", "ownerReferences": owner},
            "spec": {"bootstrapServers": "kafka:9092", "topicName": "order.events"},
        }))
        .unwrap()
    }

    fn outcome(refusals: Vec<Refusal>) -> Outcome {
        let observed = Observed { partitions: 6, replicas: 1, config: [].into() };
        Outcome { observed, made: vec![], refusals }
    }

    #[test]
    fn a_topic_as_described_is_ready() {
        let (status, findings) = status(&topic(None), &outcome(vec![]));
        assert_eq!(status.partitions, Some(6));
        assert!(findings[0].holds);
    }

    #[test]
    fn a_refusal_makes_it_unready_and_says_what_to_do() {
        let refusals = vec![Refusal::FewerPartitions { have: 6, want: 3 }, Refusal::OtherReplicas { have: 1, want: 3 }];
        let (status, findings) = status(&topic(None), &outcome(refusals));
        assert_eq!(status.partitions, Some(6));
        assert_eq!((findings[0].holds, findings[0].reason), (false, Reason::PartitionsCannotShrink));
        for part in ["Set partitions to at least 6", "kafka.external.topicReplicas) to 1"] {
            assert!(findings[0].message.contains(part), "{}", findings[0].message);
        }
    }

    #[test]
    fn a_topic_of_a_store_may_have_more_partitions_than_the_store_asks_for_and_a_users_own_may_not() {
        let more = || outcome(vec![Refusal::FewerPartitions { have: 6, want: 3 }]);
        let finding = |owner| status(&topic(owner), &more()).1.remove(0);
        let of_store = finding(Some("Store"));
        assert_eq!((of_store.holds, of_store.reason), (true, Reason::AllReady));
        assert!(of_store.message.contains("6 partitions, more than the 3"), "{}", of_store.message);
        for own in [None, Some("StoreService")] {
            assert_eq!(finding(own).reason, Reason::PartitionsCannotShrink);
        }
        let both =
            outcome(vec![Refusal::FewerPartitions { have: 6, want: 3 }, Refusal::OtherReplicas { have: 1, want: 3 }]);
        let both = status(&topic(Some("Store")), &both).1.remove(0);
        assert_eq!((both.holds, both.reason), (false, Reason::ReplicasDiffer));
    }
}
