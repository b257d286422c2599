//! Whether topics still are as they were told to be: one look for all that are on the same brokers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use api::{ConditionType, Reason, Status as _, StoreTopic};

use super::{
    brokers::Brokers,
    plan::{self, Observed},
    status, validate,
};
use crate::framework::{Context, Refused, Wake, namespace, reach};

/// How long brokers that have answered before may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those of a namespace's topics that are not as their statuses say, or whose brokers do not answer.
pub(crate) async fn changed(context: &Context, space: &str) -> BTreeSet<Wake> {
    let mut on_brokers: BTreeMap<Vec<String>, Vec<Arc<StoreTopic>>> = BTreeMap::new();
    for topic in context.cache.within::<StoreTopic>(space) {
        if is_settled(&topic) {
            let addresses = validate::addresses(&topic.spec.bootstrap_servers, namespace(&*topic));
            on_brokers.entry(addresses).or_default().push(topic);
        }
    }
    let mut changed = BTreeSet::new();
    for (addresses, topics) in on_brokers {
        let observed = look(context, &addresses, &topics).await;
        let differs = |topic: &&Arc<StoreTopic>| {
            observed.as_ref().is_none_or(|observed| is_other(topic, observed.get(&topic.spec.topic_name)))
        };
        changed.extend(topics.iter().filter(differs).map(|topic| Wake::of(&**topic)));
    }
    changed
}

/// What the brokers hold, unless they do not answer: that is for those to tell who are woken for it.
async fn look(
    context: &Context,
    addresses: &[String],
    topics: &[Arc<StoreTopic>],
) -> Option<BTreeMap<String, Observed>> {
    reach(context, addresses, Refused::GiveUp).await.ok()?;
    let names: Vec<String> = topics.iter().map(|topic| topic.spec.topic_name.clone()).collect();
    Brokers::new(&context.gate, &addresses.join(",")).ok()?.patient_for(PATIENCE).look(&names).await.ok()
}

/// Whether the status tells how the topic is. Of any other its own controller knows when to look again.
fn is_settled(topic: &StoreTopic) -> bool {
    let told = topic.status.as_ref().and_then(|status| status.condition(ConditionType::Ready.as_str()));
    let known = |reason: &str| {
        let looked = [Reason::PartitionsCannotShrink, Reason::ReplicasDiffer];
        looked.iter().any(|one| one.as_str() == reason)
    };
    topic.metadata.deletion_timestamp.is_none()
        && !topic.spec.suspend
        && told.is_some_and(|ready| {
            ready.observed_generation == topic.metadata.generation && (ready.status == "True" || known(&ready.reason))
        })
}

/// Whether the topic is other than its status says, or than it is wanted.
fn is_other(topic: &StoreTopic, observed: Option<&Observed>) -> bool {
    let (Ok(desired), Some(observed)) = (validate::validate(&topic.spec), observed) else { return true };
    let (plan, held) = (plan::plan(&desired, Some(observed)), topic.status.as_ref());
    let ready = held.and_then(|held| held.condition(ConditionType::Ready.as_str()));
    let is_fine = plan.refusals.iter().all(|refusal| status::is_fine(topic, refusal));
    let told = held.and_then(|held| held.partitions).and_then(|number| u32::try_from(number).ok());
    !plan.actions.is_empty()
        || told != Some(observed.partitions)
        || ready.is_none_or(|ready| (ready.status == "True") != is_fine)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn topic(ready: &Value, partitions: i32) -> StoreTopic {
        serde_json::from_value(json!({
            "metadata": {"name": "orders", "namespace": "shop", "generation": 2},
            "spec": {"bootstrapServers": "kafka:9092", "topicName": "order.events", "partitions": 3},
            "status": {"partitions": partitions, "conditions": [ready]},
        }))
        .unwrap()
    }

    fn ready(status: &str, reason: &str, generation: i64) -> Value {
        json!({
            "type": "Ready", "status": status, "reason": reason, "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    }

    fn observed(partitions: u32, config: &[(&str, &str)]) -> Observed {
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Observed { partitions, replicas: 1, config }
    }

    #[test]
    fn only_topics_of_which_the_truth_has_been_told_are_looked_at() {
        assert!(is_settled(&topic(&ready("True", "AllReady", 2), 3)));
        assert!(is_settled(&topic(&ready("False", "PartitionsCannotShrink", 2), 6)));
        for ready in [ready("True", "AllReady", 1), ready("False", "BrokerUnreachable", 2)] {
            assert!(!is_settled(&topic(&ready, 3)), "{ready}");
        }
        let mut asleep = topic(&ready("True", "AllReady", 2), 3);
        asleep.spec.suspend = true;
        assert!(!is_settled(&asleep));
    }

    #[test]
    fn a_topic_that_somebody_changed_or_removed_is_other_than_told() {
        let told = topic(&ready("True", "AllReady", 2), 3);
        assert!(!is_other(&told, Some(&observed(3, &[]))));
        assert!(is_other(&told, None));
        for other in [observed(6, &[]), observed(2, &[]), observed(3, &[("retention.ms", "1")])] {
            assert!(is_other(&told, Some(&other)), "{other:?}");
        }
    }

    #[test]
    fn a_topic_with_too_many_partitions_is_as_told_until_it_is_mended() {
        let told = topic(&ready("False", "PartitionsCannotShrink", 2), 6);
        assert!(!is_other(&told, Some(&observed(6, &[]))));
        assert!(is_other(&told, Some(&observed(3, &[]))));
    }

    #[test]
    fn a_topic_of_a_store_with_more_partitions_than_wanted_is_as_told_when_it_is_told_to_be_ready() {
        let owner = json!([{"apiVersion": "v1", "kind": "Store", "name": "green", "uid": "1"}]);
        let mut told = topic(&ready("True", "AllReady", 2), 6);
        told.metadata.owner_references = serde_json::from_value(owner).unwrap();
        assert!(!is_other(&told, Some(&observed(6, &[]))));
        for other in [observed(9, &[]), observed(3, &[]), observed(6, &[("retention.ms", "1")])] {
            assert!(is_other(&told, Some(&other)), "{other:?}");
        }
        told.metadata.owner_references = None;
        assert!(is_other(&told, Some(&observed(6, &[]))));
    }
}
