//! StoreTopic: one Kafka topic, kept as described.

mod broker;
pub mod brokers;
mod error;
mod finalize;
mod look;
pub mod plan;
mod status;
mod validate;

use std::{sync::Arc, time::Duration};

use api::{ConditionType, Reason, StoreTopic};
use kube::runtime::controller::Action;

pub(crate) use self::look::changed;
use self::{brokers::Brokers, error::Error};
use crate::framework::{
    Context, Reconciler, Refused, Wake, converse, followed, hold_back, namespace, of_brokers, patience, reach,
    write_status,
};

/// How soon to look again whether a broker has started; only the cache is asked.
const BROKER_POLL: Duration = Duration::from_secs(1);

/// The StoreTopic controller.
pub(crate) struct StoreTopicReconciler;

impl Reconciler for StoreTopicReconciler {
    type Object = StoreTopic;
    type Error = Error;

    const NAME: &'static str = "store_topic";

    async fn reconcile(&self, context: &Context, topic: Arc<StoreTopic>) -> Result<Action, Error> {
        if topic.metadata.deletion_timestamp.is_some() {
            finalize::finalize(context, &topic).await?;
            return Ok(Action::await_change());
        }
        hold_back(context, &*topic, topic.spec.deletion_policy).await?;
        let desired = validate::validate(&topic.spec)?;
        if topic.spec.suspend {
            let status = topic.status.clone().unwrap_or_default();
            write_status(context, &*topic, status, status::suspended()).await?;
            return Ok(Action::await_change());
        }
        if broker::is_starting(context, &topic) {
            let status = topic.status.clone().unwrap_or_default();
            write_status(context, &*topic, status, status::waiting()).await?;
            return Ok(Action::requeue(BROKER_POLL));
        }
        let addresses = validate::addresses(&topic.spec.bootstrap_servers, namespace(&*topic));
        reach(context, &addresses, Refused::GiveUp).await?;
        let servers = addresses.join(",");
        let patience = patience(topic.status.as_ref(), ConditionType::Ready, Reason::BrokerUnreachable);
        let brokers = Brokers::new(&context.gate, &servers)?.patient_for(patience);
        let span = of_brokers("ensure", &addresses, &topic.spec.topic_name);
        let conversation = followed(span, brokers.ensure(&topic.spec.topic_name, &desired));
        let outcome = converse(context, &servers, Box::pin(conversation)).await??;
        context.vigil.served(&addresses, Wake::of(&*topic));
        let (status, findings) = status::status(&topic, &outcome);
        write_status(context, &*topic, status, findings).await?;
        // On the rounds it is looked at again.
        Ok(Action::await_change())
    }
}
