//! What the statuses of all kinds have in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use crate::{StoreDatabaseStatus, StoreServiceStatus, StoreStatus, StoreTopicStatus};

/// A status with conditions.
pub trait Status: Clone + Default + PartialEq + Serialize + Send + Sync {
    /// Whether it remembers what nothing else tells: then it may replace only the one from which it was derived.
    const REMEMBERS: bool;

    /// The conditions, by type.
    fn conditions(&self) -> &[Condition];

    /// Replaces the conditions.
    fn set_conditions(&mut self, conditions: Vec<Condition>);

    /// Generation of the object that the status describes.
    fn observed_generation(&self) -> Option<i64>;

    /// Notes which generation of the object the status describes.
    fn set_observed_generation(&mut self, generation: Option<i64>);

    /// The condition of that type.
    fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions().iter().find(|condition| condition.type_ == type_)
    }
}

macro_rules! statuses {
    ($($kind:ty: $remembers:literal,)*) => {
        $(impl Status for $kind {
            const REMEMBERS: bool = $remembers;

            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }

            fn set_conditions(&mut self, conditions: Vec<Condition>) {
                self.conditions = conditions;
            }

            fn observed_generation(&self) -> Option<i64> {
                self.observed_generation
            }

            fn set_observed_generation(&mut self, generation: Option<i64>) {
                self.observed_generation = generation;
            }
        })*
    };
}

statuses! {
    // Which versions ran, and which of them failed.
    StoreStatus: true,
    StoreServiceStatus: false,
    StoreDatabaseStatus: false,
    StoreTopicStatus: false,
}
