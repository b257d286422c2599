//! A topic on a real broker, with the operator killed before and after every one of its writes: what it agreed with the
//! broker in between is found again.

use devenv::Backing;
use kubekit::Space;
use operator::{Gate, store_topic::brokers::Brokers};
use serde_json::{Value, json};

use crate::{
    crash::{BOTH, Scene},
    story::{Step, Story},
    there_and_back::{Way, every_crash_there_and_back},
};

const READY: Step = Step::Ready("StoreTopic", "green");

/// A topic of one story, on the broker that all tests of this checkout share.
pub(crate) struct Topic {
    pub(crate) bootstrap: String,
    pub(crate) prefix: String,
    name: String,
}

impl Topic {
    /// A guest's whose name begins with this.
    pub(crate) async fn of(prefix: &str) -> Self {
        Self::named(prefix, "parcel.events").await
    }

    /// One whose name begins with `prefix` and ends in this.
    pub(crate) async fn named(prefix: &str, name: &str) -> Self {
        let bootstrap = tokio::task::spawn_blocking(|| Backing::of_checkout().kafka().unwrap().bootstrap_servers());
        Self { bootstrap: bootstrap.await.unwrap(), prefix: prefix.to_owned(), name: format!("{prefix}{name}") }
    }

    /// What the broker has of it.
    pub(crate) async fn fact(&self) -> String {
        let names = std::slice::from_ref(&self.name);
        let topics = Brokers::new(&Gate::open(), &self.bootstrap).unwrap().look(names).await.unwrap();
        format!("{:?}", topics.get(&self.name))
    }

    fn resource(&self, partitions: u32, retention: &str) -> Value {
        json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": "green"},
            "spec": {
                "bootstrapServers": self.bootstrap, "topicName": self.name, "partitions": partitions,
                "config": [{"name": "retention.ms", "value": retention}], "deletionPolicy": "Delete",
            },
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_grows_changes_and_goes_at_whatever_write_the_operator_crashes() {
    let scene = async |space: &Space<'_>| {
        let topic = Topic::of(&format!("{}.", space.identifier())).await;
        Scene { story: Story { before: vec![], steps: vec![], end: vec![] }, server: None, topic: Some(topic) }
    };
    let [made, grown, changed, gone] = every_crash_there_and_back("topic", BOTH, scene, |scene| {
        let topic = scene.topic.as_ref().unwrap();
        let to = |partitions, retention| Way {
            change: Step::Apply(topic.resource(partitions, retention)),
            end: vec![READY],
        };
        let goes = Way { change: Step::Delete("StoreTopic", "green"), end: vec![] };
        [to(1, "60000"), to(3, "60000"), to(3, "90000"), goes]
    })
    .await;
    for (arrival, partitions, retention) in [(made, 1, "60000"), (grown, 3, "60000"), (changed, 3, "90000")] {
        let shape = [format!("partitions: {partitions},"), format!("\"retention.ms\": \"{retention}\"")];
        assert!(shape.iter().all(|part| arrival.facts.contains(part)), "{}", arrival.facts);
    }
    assert!(gone.state.is_empty(), "{:?}", gone.state);
    assert_eq!(gone.facts, "None");
}
