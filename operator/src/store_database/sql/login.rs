//! Who logs in to a database.

use super::{identifier::Identifier, password::Password};

/// A database that must exist, and the login with which its service enters.
///
/// A role has one password. So that a new one can be taken up while the old one still works, a database has two login
/// roles, of which one is in use: the role of its own name, which owns it, and a second one that acts as the first in
/// every session, so that all it makes is the owner's.
#[derive(Clone, Debug)]
pub struct Login {
    /// Name of the database and of the role that owns it.
    pub name: Identifier,
    /// Which of the roles is in use.
    pub seat: Seat,
    /// The password in the database's Secret.
    pub password: Password,
}

/// One of the two roles of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seat {
    /// The role that owns the database.
    #[default]
    First,
    /// The role that acts as the owner. It is made by the first rotation.
    Second,
}

/// The role of a database that is not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spare {
    /// Nobody is logged in as it, and nobody can.
    Closed,
    /// It can still log in, or somebody is still logged in as it.
    Open {
        /// Connections of it.
        sessions: i64,
    },
    /// A role of that name is somebody else's.
    Taken,
}

impl Login {
    /// The role in use.
    #[must_use]
    pub fn role(&self) -> Identifier {
        self.seat.of(&self.name)
    }
}

impl Seat {
    /// The one whose role has this name.
    pub(crate) fn named(role: &str, database: &Identifier) -> Self {
        if Self::Second.of(database).as_str() == role { Self::Second } else { Self::First }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The role of a database.
    #[must_use]
    pub fn of(self, database: &Identifier) -> Identifier {
        match self {
            Self::First => database.clone(),
            Self::Second => database.second(),
        }
    }
}
