//! The conversation with the brokers over Kafka's admin protocol: look, plan, ask, and look again.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, OwnedResourceSpecifier,
        ResourceSpecifier, TopicReplication, TopicResult,
    },
    client::DefaultClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    metadata::MetadataTopic,
    types::RDKafkaErrorCode,
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tracing::info;

use super::plan::{self, Action, Desired, Observed, Refusal};
use crate::framework::{Gate, NotLeading, Unreachable};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the brokers may take to show what they have agreed to.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The same for settings that were replaced, where nothing else is left: the client library does not say that the brokers
/// refused them, and a user waits for that.
const SETTINGS_TIMEOUT: Duration = Duration::from_millis(1500);

const SETTLE_POLL: Duration = Duration::from_millis(100);

/// What came of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The topic afterwards.
    pub observed: Observed,
    /// The requests that were made; none when the topic already was as wanted.
    pub made: Vec<Action>,
    /// Wishes that no request can give.
    pub refusals: Vec<Refusal>,
}

/// Why a topic could not be brought to what is wanted.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The addresses are not such.
    #[error("cannot make a client for {bootstrap}")]
    Client {
        /// The addresses asked for.
        bootstrap: String,
        /// What the client library said.
        source: KafkaError,
    },
    /// The brokers accept connections and say nothing. The client library's words for that depend on which of its clocks
    /// runs out first, and a condition is to say the same for as long as nothing changes.
    #[error(transparent)]
    Silent(Unreachable),
    /// No broker can be asked.
    #[error("no broker answers at {bootstrap}")]
    Unreachable {
        /// The addresses asked.
        bootstrap: String,
        /// What the client library said.
        source: KafkaError,
    },
    /// A request got no answer.
    #[error("the brokers did not {action}")]
    Request {
        /// What was asked.
        action: &'static str,
        /// What the client library said.
        source: KafkaError,
    },
    /// The brokers said no.
    #[error("the brokers refuse to {action}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// What they said.
        source: RDKafkaErrorCode,
    },
    /// The brokers kept the settings they had. The client library does not pass on what they said.
    #[error("the brokers do not take {}: check the names and values of these settings", .names.join(", "))]
    SettingsRefused {
        /// Names of the settings that are not as wanted.
        names: Vec<String>,
    },
    /// The brokers agreed, but do not show it.
    #[error("the brokers agreed, and do not show the topic as it should be")]
    Unsettled,
    /// The process is going down.
    #[error("the operator is stopping")]
    Stopping,
    /// Another process leads by now.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

impl BrokerError {
    /// Whether surely only a change of the resource can help.
    #[must_use]
    pub fn is_final(&self) -> bool {
        use RDKafkaErrorCode::{InvalidConfig, InvalidPartitions, InvalidTopic};
        matches!(
            self,
            Self::Client { .. } | Self::Refused { source: InvalidConfig | InvalidPartitions | InvalidTopic, .. }
        )
    }
}

/// A connection to the brokers of one Kafka cluster. Made for one reconcile: the client library polls ten times a second
/// as long as it lives.
pub struct Brokers {
    bootstrap: String,
    /// What every request passes that changes something.
    gate: Gate,
    /// How long the brokers may take for their first answer.
    patience: Duration,
    // Only empty while it is dropped.
    admin: Option<AdminClient<DefaultClientContext>>,
}

impl Brokers {
    /// Makes a client; it connects with its first request.
    pub fn new(gate: &Gate, bootstrap: &str) -> Result<Self, BrokerError> {
        let admin = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "greencommerce-operator")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "1000")
            .set("enable.metrics.push", "false")
            // Else asking for a topic would make it where brokers create topics by themselves.
            .set("allow.auto.create.topics", "false")
            // What fails is returned and logged by whoever asked.
            .set_log_level(RDKafkaLogLevel::Emerg)
            .create()
            .map_err(|source| BrokerError::Client { bootstrap: bootstrap.to_owned(), source })?;
        let (bootstrap, gate) = (bootstrap.to_owned(), gate.clone());
        Ok(Self { bootstrap, gate, patience: REQUEST_TIMEOUT, admin: Some(admin) })
    }

    /// The same with another time-out for the first answer.
    #[must_use]
    pub fn patient_for(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Those of the topics that the brokers hold.
    pub async fn look(self, topics: &[String]) -> Result<BTreeMap<String, Observed>, BrokerError> {
        self.observe(topics).await.map(|(_, observed)| observed)
    }

    /// Brings a topic to what is wanted, as far as that is possible without losing data.
    pub async fn ensure(self, topic: &str, desired: &Desired) -> Result<Outcome, BrokerError> {
        let (this, mut observed) = self.observe_one(topic).await?;
        let plan = plan::plan(desired, observed.as_ref());
        for action in &plan.actions {
            this.gate.guard(this.request(topic, desired, action)).await??;
            info!(topic, %action, "changed the brokers");
        }
        let (mut this, asked) = (this, Instant::now());
        loop {
            let rest = plan::plan(desired, observed.as_ref());
            if let (Some(observed), []) = (&observed, rest.actions.as_slice()) {
                return Ok(Outcome { observed: observed.clone(), made: plan.actions, refusals: rest.refusals });
            }
            let only_settings =
                rest.actions == [Action::ReplaceConfig] && plan.actions.contains(&Action::ReplaceConfig);
            if asked.elapsed() > if only_settings { SETTINGS_TIMEOUT } else { SETTLE_TIMEOUT } {
                return Err(unsettled(desired, observed.as_ref()));
            }
            sleep(SETTLE_POLL).await;
            (this, observed) = this.observe_one(topic).await?;
        }
    }

    /// Deletes a topic with all its events; one that is gone already is no error.
    pub async fn delete(self, topic: &str) -> Result<(), BrokerError> {
        const ACTION: &str = "delete the topic";
        let answer = self.gate.guard(self.admin().delete_topics(&[topic], &options())).await?;
        match topic_answer(ACTION, answer) {
            Err(BrokerError::Refused { source: RDKafkaErrorCode::UnknownTopicOrPartition, .. }) => Ok(()),
            other => other,
        }
    }

    /// One topic as the brokers hold it.
    async fn observe_one(self, topic: &str) -> Result<(Self, Option<Observed>), BrokerError> {
        let (this, mut observed) = self.observe(&[topic.to_owned()]).await?;
        Ok((this, observed.remove(topic)))
    }

    /// Topics as the brokers hold them, asked for by name: there may be thousands of others.
    async fn observe(self, topics: &[String]) -> Result<(Self, BTreeMap<String, Observed>), BrokerError> {
        let names = topics.to_vec();
        let (this, shapes) = spawn_blocking(move || {
            let shapes = self.shapes(&names);
            (self, shapes)
        })
        .await
        .map_err(|_| BrokerError::Stopping)?;
        let mut observed = shapes.map_err(|source| unreachable(&this.bootstrap, source))?;
        this.observe_config(&mut observed).await?;
        Ok((this, observed))
    }

    /// Those of the topics that are there, without their settings. Blocks.
    fn shapes(&self, names: &[String]) -> Result<BTreeMap<String, Observed>, KafkaError> {
        let (mut shapes, asked) = (BTreeMap::new(), Instant::now());
        for name in names {
            let left = self.patience.saturating_sub(asked.elapsed());
            let metadata = self.admin().inner().fetch_metadata(Some(name), left)?;
            let found = metadata.topics().iter().find(|topic| topic.name() == name).and_then(shape);
            shapes.extend(found.map(|observed| (name.clone(), observed)));
        }
        Ok(shapes)
    }

    /// Adds their settings to topics that are there.
    async fn observe_config(&self, topics: &mut BTreeMap<String, Observed>) -> Result<(), BrokerError> {
        const ACTION: &str = "describe the topic's settings";
        if topics.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = topics.keys().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let answers = self.admin().describe_configs(&asked, &options()).await;
        for answer in answers.map_err(|source| BrokerError::Request { action: ACTION, source })? {
            let answer = answer.map_err(|source| BrokerError::Refused { action: ACTION, source })?;
            let OwnedResourceSpecifier::Topic(name) = &answer.specifier else { continue };
            let Some(topic) = topics.get_mut(name) else { continue };
            let own = answer.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
            topic.config.extend(own.map(|entry| (entry.name, entry.value.unwrap_or_default())));
        }
        Ok(())
    }

    async fn request(&self, topic: &str, desired: &Desired, action: &Action) -> Result<(), BrokerError> {
        match action {
            Action::Create => self.create(topic, desired).await,
            Action::AddPartitions { total } => {
                let total = usize::try_from(*total).unwrap_or(usize::MAX);
                let answer = self.admin().create_partitions(&[NewPartitions::new(topic, total)], &options()).await;
                topic_answer("add partitions to the topic", answer)
            }
            Action::ReplaceConfig => self.replace_config(topic, desired).await,
        }
    }

    async fn create(&self, topic: &str, desired: &Desired) -> Result<(), BrokerError> {
        let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let replication = TopicReplication::Fixed(count(desired.replicas));
        let mut new = NewTopic::new(topic, count(desired.partitions), replication);
        for (name, value) in &desired.config {
            new = new.set(name, value);
        }
        let answer = self.admin().create_topics(&[new], &options()).await;
        match topic_answer("create the topic", answer) {
            // It came between looking and asking; looking again shows whether it is as wanted.
            Err(BrokerError::Refused { source: RDKafkaErrorCode::TopicAlreadyExists, .. }) => Ok(()),
            other => other,
        }
    }

    async fn replace_config(&self, topic: &str, desired: &Desired) -> Result<(), BrokerError> {
        const ACTION: &str = "replace the topic's settings";
        let alter = desired
            .config
            .iter()
            .fold(AlterConfig::new(ResourceSpecifier::Topic(topic)), |alter, (name, value)| alter.set(name, value));
        let answers = self.admin().alter_configs(&[alter], &options()).await;
        let answers = answers.map_err(|source| BrokerError::Request { action: ACTION, source })?;
        let refused = |(_, source)| BrokerError::Refused { action: ACTION, source };
        answers.into_iter().try_for_each(|answer| answer.map(drop).map_err(refused))
    }

    fn admin(&self) -> &AdminClient<DefaultClientContext> {
        self.admin.as_ref().expect("the client is there until it is dropped")
    }
}

impl Drop for Brokers {
    /// The library joins its threads when a client goes: that must not hold up the runtime's.
    fn drop(&mut self) {
        let admin = self.admin.take();
        if tokio::runtime::Handle::try_current().is_ok() {
            spawn_blocking(move || drop(admin));
        }
    }
}

fn unreachable(bootstrap: &str, source: KafkaError) -> BrokerError {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    let is_silence =
        matches!(source.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut));
    if is_silence {
        return BrokerError::Silent(Unreachable::Silent(bootstrap.to_owned()));
    }
    BrokerError::Unreachable { bootstrap: bootstrap.to_owned(), source }
}

/// What to say of a topic that is not as wanted though every request was answered.
fn unsettled(desired: &Desired, observed: Option<&Observed>) -> BrokerError {
    let names = observed.map(|observed| plan::differing_settings(desired, observed)).unwrap_or_default();
    if names.is_empty() { BrokerError::Unsettled } else { BrokerError::SettingsRefused { names } }
}

/// A topic without its settings; `None` while the brokers do not know it.
fn shape(topic: &MetadataTopic) -> Option<Observed> {
    if topic.error().is_some() {
        return None;
    }
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min()?;
    Some(Observed { partitions: count(topic.partitions().len()), replicas: count(replicas), config: BTreeMap::new() })
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

fn topic_answer(action: &'static str, answer: Result<Vec<TopicResult>, KafkaError>) -> Result<(), BrokerError> {
    let answers = answer.map_err(|source| BrokerError::Request { action, source })?;
    let refused = |(_, source)| BrokerError::Refused { action, source };
    answers.into_iter().try_for_each(|answer| answer.map(drop).map_err(refused))
}

#[cfg(test)]
mod tests;
