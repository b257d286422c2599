//! What is known of an object of the cache without unpacking it.

use api::{ConditionType, ExternalDatabase, Reason, Status, Store, StoreDatabase, StoreService, StoreTopic};
use kube::core::object::HasStatus;

use crate::guests::is_of_users;

/// What an object is found by, beside its name and its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// It reads the Secret of this name.
    Secret,
    /// It mounts the ConfigMap of this name.
    File,
    /// A user added it to the Store of this name, and it asks something of that.
    Guest,
}

/// What an object is found and counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    /// What it is found by.
    pub(super) marks: Vec<(Mark, String)>,
    /// What it says of itself.
    pub(super) said: Vec<Said>,
    /// Whether it is to sleep.
    pub(super) asleep: bool,
}

/// A condition, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) condition: ConditionType,
    /// `True`, `False` or, for none, `Unknown`.
    pub(super) holds: Option<bool>,
    pub(super) reason: Reason,
}

impl Digest {
    /// Of a kind of Kubernetes', which is found by its name and labels alone.
    pub(super) fn of_child<K>(_: &K) -> Self {
        Self::default()
    }

    pub(super) fn of_store(store: &Store) -> Self {
        let cache = store.spec.cache.external.as_ref().map(|external| external.url_secret_ref.name.clone());
        let marks = cache.into_iter().map(|secret| (Mark::Secret, secret)).collect();
        Self { marks, said: said(store), asleep: store.spec.suspend }
    }

    pub(super) fn of_service(service: &StoreService) -> Self {
        let secrets = service.spec.secrets().map(|secret| (Mark::Secret, secret));
        let files = service.spec.config_maps.iter().map(|mount| (Mark::File, mount.name.clone()));
        let is_guest = is_of_users(service) && service.spec.is_guest();
        let host = is_guest.then(|| (Mark::Guest, service.spec.store.clone()));
        Self { marks: secrets.chain(files).chain(host).collect(), said: said(service), asleep: false }
    }

    pub(super) fn of_database(database: &StoreDatabase) -> Self {
        let secrets = database.spec.external.iter().flat_map(ExternalDatabase::secrets);
        let marks = secrets.map(|secret| (Mark::Secret, secret.to_owned())).collect();
        Self { marks, said: said(database), asleep: false }
    }

    pub(super) fn of_topic(topic: &StoreTopic) -> Self {
        Self { said: said(topic), ..Self::default() }
    }
}

/// The conditions that this version of the operator knows; those of another are replaced as soon as it looks.
fn said<K: HasStatus<Status: Status>>(object: &K) -> Vec<Said> {
    let conditions = object.status().map(Status::conditions).unwrap_or_default();
    let known = conditions.iter().filter_map(|condition| {
        Some(Said {
            condition: ConditionType::parse(&condition.type_)?,
            holds: match condition.status.as_str() {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            },
            reason: Reason::parse(&condition.reason)?,
        })
    });
    known.collect()
}

impl Said {
    /// The status as a condition has it.
    pub(super) fn status(self) -> &'static str {
        match self.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(owner: &Value) -> StoreService {
        let variable = json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "carrier", "key": "token"}}});
        serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": "parcels", "namespace": "shop", "ownerReferences": owner},
            "spec": {
                "store": "green", "image": "x:1", "env": [variable], "database": {"name": "parcels"},
                "configMaps": [{"name": "rules", "mountPath": "/etc/rules"}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_service_is_found_by_what_it_reads_and_a_guest_by_its_store() {
        let marks = |owner: Value| Digest::of_service(&service(&owner)).marks;
        let reads = [
            (Mark::Secret, "green-parcels-database".to_owned()),
            (Mark::Secret, "carrier".to_owned()),
            (Mark::File, "rules".to_owned()),
        ];
        let guest = (Mark::Guest, "green".to_owned());
        assert_eq!(marks(json!([])), [&reads[..], &[guest][..]].concat());
        let store = json!([{
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "name": "green", "uid": "1", "controller": true,
        }]);
        assert_eq!(marks(store), reads);
    }

    #[test]
    fn conditions_of_another_version_are_not_counted() {
        let condition = |type_: &str, status: &str, reason: &str| {
            json!({
                "type": type_, "status": status, "reason": reason, "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let conditions = [condition("Ready", "False", "ImagePullFailed"), condition("Ready", "False", "FromTheFuture")];
        let topic = serde_json::from_value(json!({
            "metadata": {"name": "orders"}, "spec": {"bootstrapServers": "kafka:9092", "topicName": "orders"},
            "status": {"conditions": conditions},
        }));
        let said = Digest::of_topic(&topic.unwrap()).said;
        let expected = Said { condition: ConditionType::Ready, holds: Some(false), reason: Reason::ImagePullFailed };
        assert_eq!(said, [expected]);
    }
}
