//! What happens to accounts.

use serde::{Deserialize, Serialize};
use types::{EmailAddress, ShortText, UserId};

use crate::Event;

/// `user.events`, keyed by the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum UserEvent {
    /// An account was made.
    #[serde(rename = "dev.greencommerce.user.registered.v1")]
    Registered(UserRegistered),
    /// An account was deleted by its owner.
    #[serde(rename = "dev.greencommerce.user.deleted.v1")]
    Deleted(UserDeleted),
}

/// An account was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserRegistered {
    /// The account.
    pub user_id: UserId,
    /// Its address.
    pub email: EmailAddress,
    /// The name its owner gave.
    pub name: ShortText,
}

/// An account was deleted; whoever keeps data about it erases it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserDeleted {
    /// The account.
    pub user_id: UserId,
}

impl Event for UserEvent {
    const TOPIC: &'static str = "user.events";
    const SOURCE: &'static str = "auth";
    const TYPES: &'static [&'static str] =
        &["dev.greencommerce.user.registered.v1", "dev.greencommerce.user.deleted.v1"];

    fn key(&self) -> String {
        match self {
            Self::Registered(data) => data.user_id.to_string(),
            Self::Deleted(data) => data.user_id.to_string(),
        }
    }
}
