//! A whole store with its service, its databases and its topics, made, changed, put to sleep and deleted with its data, while
//! requests are refused and events come late: it ends where it would have ended.

use std::time::Duration;

use kubekit::{Faults, Refusal, Space};
use serde_json::{Value, json};

use crate::{
    crash::Scene,
    database::administrator,
    servers::Servers,
    store::store,
    story::{Step, Story},
    there_and_back::{Arrival, Trouble, Way, every_trouble_there_and_back},
    topic::Topic,
};

const READY: Step = Step::Ready("Store", "shop");
const SUSPENDED: Step = Step::Says("Store", "shop", "Suspended");
const ROTATED: [Step; 2] =
    [Step::Says("StoreDatabase", "shop", "Rotating"), Step::SaysNo("StoreDatabase", "shop", "Rotating")];

#[tokio::test(flavor = "multi_thread")]
async fn a_store_lives_alike_while_requests_are_refused() {
    let refused = |every, code, reads| Faults { refuse: Some(Refusal { every, code, reads }), ..Faults::default() };
    // A look at a new database is four reads and more.
    let refusals = [refused(3, 409, false), refused(9, 429, true), refused(9, 500, true)];
    lives_alike("a store refused", &refusals.map(Trouble::Lasting)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_lives_alike_while_the_operator_sees_what_happens_late() {
    let short = Faults { watch_life: Some(Duration::from_secs(1)), ..Faults::default() };
    let late = Faults { delay: Some(Duration::from_millis(700)), ..Faults::default() };
    let troubles = [Trouble::Lasting(short), Trouble::Lasting(late), Trouble::Expired, Trouble::Frozen];
    lives_alike("a store unseen", &troubles).await;
}

async fn lives_alike(name: &str, troubles: &[Trouble]) {
    let scene = async |space: &Space<'_>| {
        let prefix = format!("{}.", space.identifier());
        let server = Servers::running().await.lend("shop", space).await;
        let topic = Topic::named(&prefix, "user.events").await;
        let story = Story { before: vec![administrator()], steps: vec![], end: vec![] };
        Scene { story, server: Some(server), topic: Some(topic) }
    };
    let [made, changed, rotated, asleep, awake, gone]: [Arrival; 6] =
        every_trouble_there_and_back(name, troubles, scene, |scene| {
            let to = |with: &Value, end| Way { change: Step::Apply(shop(scene, with)), end };
            let (later, request) = (json!({"version": "2.0.0"}), json!({"greencommerce.dev/rotate": "now"}));
            let mut rotated = shop(scene, &later);
            rotated["metadata"]["annotations"] = request.clone();
            let suspended = json!({"version": "2.0.0", "suspend": true});
            [
                to(&json!({}), vec![READY]),
                to(&later, vec![READY]),
                Way { change: Step::Apply(rotated), end: ROTATED.into_iter().chain([READY]).collect() },
                to(&suspended, vec![SUSPENDED]),
                to(&later, vec![READY]),
                Way { change: Step::Delete("Store", "shop"), end: vec![] },
            ]
        })
        .await;
    for (awake, role) in [(made, "auth"), (changed, "auth"), (rotated, "auth-b"), (awake, "auth-b")] {
        assert!(awake.facts.contains(&format!("shop-auth-database: {role} enters auth: true")), "{}", awake.facts);
    }
    assert!(asleep.facts.contains("partitions: "), "{}", asleep.facts);
    assert_eq!(gone.state.names().collect::<Vec<_>>(), ["Secret/administrator"]);
    assert!(gone.facts.ends_with("None"), "{}", gone.facts);
}

/// A store of one service, with all that it needs from elsewhere but its cache.
fn shop(scene: &Scene, with: &Value) -> Value {
    let (server, topic) = (scene.server.as_ref().unwrap(), scene.topic.as_ref().unwrap());
    let kafka = json!({"bootstrapServers": topic.bootstrap, "topicPrefix": topic.prefix});
    let mut shop = store(server, "1.0.0", &json!({"deletionPolicy": "Delete", "kafka": {"external": kafka}}));
    shop["spec"].as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    shop
}
