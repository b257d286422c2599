//! What an account may do.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A role of an account. Roles are granted one by one; `admin` may do whatever `staff` may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    Customer,
    /// Runs products, stock and orders.
    Staff,
    /// Runs accounts too.
    Admin,
}

impl Role {
    /// The role's name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "customer" => Ok(Self::Customer),
            "staff" => Ok(Self::Staff),
            "admin" => Ok(Self::Admin),
            _ => Err(Invalid::new("must be customer, staff or admin")),
        }
    }
}
