//! Accounts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use types::{EmailAddress, Role, ShortText, UserId};

/// An account as its owner and administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Account {
    /// Its id, the `sub` of its tokens.
    pub(crate) id: UserId,
    /// What its owner logs in with.
    pub(crate) email: EmailAddress,
    /// The name its owner gave.
    pub(crate) name: ShortText,
    /// What it may do.
    pub(crate) roles: Vec<Role>,
    /// Whether its owner may log in.
    pub(crate) status: AccountStatus,
    /// When it was made.
    pub(crate) created_at: Timestamp,
}

/// Whether the owner of an account may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccountStatus {
    /// Yes.
    Active,
    /// No: an administrator has disabled it.
    Disabled,
}
