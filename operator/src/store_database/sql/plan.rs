//! The statements that bring a server from what it is to what is wanted. Pure.
//!
//! Least privilege: a role may log in and owns its one database; nobody else may connect to that database; the role is
//! a member of nothing, or of that owner where it acts as it, and may create neither roles nor databases.

use std::collections::BTreeMap;

use super::{
    identifier::Identifier,
    login::{Seat, Spare},
    mark::{Mark, Whose},
    password::Password,
    statement::Statement,
};

/// The attribute of a role that can log in, in the words of `ALTER ROLE`.
pub(super) const MAY_LOG_IN: &str = "LOGIN";

/// Databases of the server itself. On a server of our own nobody but the superuser may enter them.
pub(super) const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// How much of the server is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenancy {
    /// All of it: what has the wanted name is put right, whoever made it.
    Whole,
    /// A place on it: only roles that carry this mark as their comment, and what they own, are ours.
    Shared(Mark),
}

/// A database that must exist, owned by a role of the same name, with a role that logs in to it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Name of the database and of the role that owns it.
    pub name: Identifier,
    /// The role that logs in.
    pub seat: Seat,
    /// What the role's password must be.
    pub password: Password,
}

/// What the server holds, as far as it concerns the databases wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// Whether the administrator may do anything, so that he need not join a role to give it a database.
    pub admin_is_superuser: bool,
    /// Roles by name.
    pub roles: BTreeMap<String, Role>,
    /// Databases by name.
    pub databases: BTreeMap<String, Database>,
}

/// A role as the server holds it.
#[derive(Clone, Debug)]
pub(super) struct Role {
    /// Attributes that differ from a plain login role's, as the words that put them right: `LOGIN`, `NOSUPERUSER` …
    pub wrong_attributes: Vec<&'static str>,
    /// The comment on the role.
    pub comment: Option<String>,
    /// Whether the administrator has the role's rights, as is needed to give it a database.
    pub held_by_admin: bool,
    /// Whether it acts, in each of its sessions, as the role whose second it is.
    pub acts_as_owner: bool,
    /// Connections of it.
    pub sessions: i64,
    /// Whether the wanted password is accepted.
    pub password_accepted: bool,
}

/// A database as the server holds it.
#[derive(Clone, Debug)]
pub(super) struct Database {
    /// Name of the role that owns it.
    pub owner: String,
    /// Whether everybody may connect to it or make temporary tables in it.
    pub open_to_public: bool,
    /// Tells it from every other that has its name before or after it.
    pub identity: String,
}

/// Why a database cannot be made: its name belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A role of that name exists and is not marked as ours.
    #[error(
        "the server already has a role {0} that this resource did not make: drop or rename it, or use another server"
    )]
    Role(Identifier),
    /// A role of that name is marked as that of another resource of our name.
    #[error(
        "role {0} on the server is that of another {1}: one that was deleted and left its data, or one in another cluster. \
         Set adoptRetainedData to true to take its data up, if it is gone; else give this one another databasePrefix or \
         another server"
    )]
    Namesake(Identifier, String),
    /// A database of that name exists and belongs to another role.
    #[error("the server already has a database {name} owned by {owner:?}: drop or rename it, or use another server")]
    Database {
        /// The database's name.
        name: Identifier,
        /// The role that owns it.
        owner: String,
    },
}

/// The statements still to be run for one database; none when all is as it should be.
pub(super) fn database(wanted: &Wanted, tenancy: &Tenancy, observed: &Observed) -> Result<Vec<Statement>, Conflict> {
    let mut statements = Vec::new();
    let seen = observed.databases.get(wanted.name.as_str());
    let owner = observed.roles.get(wanted.name.as_str());
    let login = wanted.seat.of(&wanted.name);
    let role = observed.roles.get(login.as_str());
    refuse_strangers(&wanted.name, tenancy, owner, seen)?;
    refuse_role(&login, tenancy, role)?;
    statements.extend(marks(&wanted.name, tenancy, observed));
    if wanted.seat == Seat::Second {
        plan_owner(&wanted.name, tenancy, owner, &mut statements);
    }
    plan_role(&login, wanted, tenancy, role, &mut statements);
    if wanted.seat == Seat::Second && !role.is_some_and(|role| role.acts_as_owner) {
        statements.push(Statement::ActAs { role: login, owner: wanted.name.clone() });
    }
    let held = observed.admin_is_superuser || owner.is_some_and(|role| role.held_by_admin);
    plan_database(wanted, held, seen, &mut statements);
    Ok(statements)
}

/// What there is of a role that is not in use.
pub(super) fn spare(role: &Identifier, tenancy: &Tenancy, observed: &Observed) -> Spare {
    match observed.roles.get(role.as_str()) {
        None => Spare::Closed,
        Some(role) if !is_ours(tenancy, role) => Spare::Taken,
        Some(role) if role.sessions == 0 && !may_log_in(role) => Spare::Closed,
        Some(role) => Spare::Open { sessions: role.sessions },
    }
}

/// The statements that close a role that is not in use. The right to log in goes first, or its owner would be back at once.
pub(super) fn retirement(role: &Identifier, tenancy: &Tenancy, observed: &Observed) -> Vec<Statement> {
    let Some(seen) = observed.roles.get(role.as_str()).filter(|seen| is_ours(tenancy, seen)) else {
        return Vec::new();
    };
    let mut statements = Vec::new();
    if !(observed.admin_is_superuser || seen.held_by_admin) {
        statements.push(Statement::JoinRole { role: role.clone() });
    }
    if may_log_in(seen) {
        statements.push(Statement::Lock { role: role.clone() });
    }
    statements.push(Statement::EndSessions { role: role.clone() });
    statements
}

fn may_log_in(role: &Role) -> bool {
    !role.wrong_attributes.contains(&MAY_LOG_IN)
}

/// The statements that close the server's own databases, on a server that is all ours.
pub(super) fn maintenance(tenancy: &Tenancy, observed: &Observed) -> Vec<Statement> {
    if matches!(tenancy, Tenancy::Shared(_)) {
        return Vec::new();
    }
    let open = |name: &&str| observed.databases.get(*name).is_some_and(|database| database.open_to_public);
    let revoke = |name: &str| Statement::RevokePublic { database: name.to_owned() };
    MAINTENANCE.iter().copied().filter(|name| open(name)).map(revoke).collect()
}

/// The statements that remove what is ours of the named databases, with their roles.
pub(super) fn removal(names: &[Identifier], tenancy: &Tenancy, observed: &Observed) -> Vec<Statement> {
    let ours = |role: &Identifier| observed.roles.get(role.as_str()).is_some_and(|role| is_ours(tenancy, role));
    let drops = |name: &Identifier| {
        let owns = observed.databases.get(name.as_str()).is_some_and(|database| database.owner == name.as_str());
        let database = (ours(name) && owns).then(|| Statement::DropDatabase { name: name.clone() });
        // The second is a member of the first.
        let roles = [Seat::Second, Seat::First].map(|seat| seat.of(name)).into_iter().filter(ours);
        database.into_iter().chain(roles.map(|role| Statement::DropRole { role })).collect::<Vec<_>>()
    };
    names.iter().flat_map(drops).collect()
}

/// What tells a database from every other of its name.
pub(super) fn identity(name: &Identifier, observed: &Observed) -> Option<String> {
    observed.databases.get(name.as_str()).map(|database| database.identity.clone())
}

/// Whether a role seen on the server is this resource's.
pub(super) fn is_ours(tenancy: &Tenancy, role: &Role) -> bool {
    matches!(whose(tenancy, role), Whose::Ours | Whose::Unmarked)
}

fn whose(tenancy: &Tenancy, role: &Role) -> Whose {
    match tenancy {
        Tenancy::Whole => Whose::Ours,
        Tenancy::Shared(mark) => mark.whose(role.comment.as_deref()),
    }
}

/// The statements that mark the roles of a database that are ours and do not say so yet. What is marked is nobody else's
/// from then on, so this comes first.
fn marks(name: &Identifier, tenancy: &Tenancy, observed: &Observed) -> Vec<Statement> {
    let Some(mark) = mark(tenancy) else {
        return Vec::new();
    };
    let unmarked = |role: &Identifier| {
        observed.roles.get(role.as_str()).is_some_and(|seen| whose(tenancy, seen) == Whose::Unmarked)
    };
    let roles = [Seat::First, Seat::Second].map(|seat| seat.of(name)).into_iter().filter(unmarked);
    roles.map(|role| Statement::Mark { role, mark: mark.clone() }).collect()
}

fn refuse_role(name: &Identifier, tenancy: &Tenancy, role: Option<&Role>) -> Result<(), Conflict> {
    match (role.map(|role| whose(tenancy, role)), tenancy) {
        (Some(Whose::Namesakes), Tenancy::Shared(mark)) => {
            Err(Conflict::Namesake(name.clone(), mark.place().to_owned()))
        }
        (Some(Whose::Namesakes | Whose::Strangers), _) => Err(Conflict::Role(name.clone())),
        (None | Some(Whose::Ours | Whose::Unmarked), _) => Ok(()),
    }
}

fn refuse_strangers(
    name: &Identifier,
    tenancy: &Tenancy,
    owner: Option<&Role>,
    database: Option<&Database>,
) -> Result<(), Conflict> {
    refuse_role(name, tenancy, owner)?;
    match database {
        Some(seen) if seen.owner != name.as_str() && *tenancy != Tenancy::Whole => {
            Err(Conflict::Database { name: name.clone(), owner: seen.owner.clone() })
        }
        _ => Ok(()),
    }
}

/// The owner where another logs in. Whether it can itself is left as it is: pods that are about to go may be logged in.
fn plan_owner(name: &Identifier, tenancy: &Tenancy, owner: Option<&Role>, statements: &mut Vec<Statement>) {
    let Some(owner) = owner else {
        statements.push(Statement::CreateOwner { role: name.clone(), mark: mark(tenancy) });
        return;
    };
    let attributes: Vec<_> = owner.wrong_attributes.iter().copied().filter(|held| *held != MAY_LOG_IN).collect();
    if !attributes.is_empty() {
        statements.push(Statement::AlterRole { role: name.clone(), attributes });
    }
}

fn plan_role(
    name: &Identifier,
    wanted: &Wanted,
    tenancy: &Tenancy,
    role: Option<&Role>,
    statements: &mut Vec<Statement>,
) {
    let password = || wanted.password.clone();
    let Some(role) = role else {
        statements.push(Statement::CreateRole { role: name.clone(), password: password(), mark: mark(tenancy) });
        return;
    };
    // The password comes first: a role is never open with one that is not the Secret's.
    if !role.password_accepted {
        statements.push(Statement::SetPassword { role: name.clone(), password: password() });
    }
    if !role.wrong_attributes.is_empty() {
        statements.push(Statement::AlterRole { role: name.clone(), attributes: role.wrong_attributes.clone() });
    }
}

fn mark(tenancy: &Tenancy) -> Option<String> {
    match tenancy {
        Tenancy::Whole => None,
        Tenancy::Shared(mark) => Some(mark.text()),
    }
}

fn plan_database(wanted: &Wanted, held_by_admin: bool, seen: Option<&Database>, statements: &mut Vec<Statement>) {
    let name = || wanted.name.clone();
    let owned = seen.is_some_and(|database| database.owner == wanted.name.as_str());
    let closed = seen.is_some_and(|database| !database.open_to_public);
    if owned && closed {
        return;
    }
    if !held_by_admin {
        statements.push(Statement::JoinRole { role: name() });
    }
    if seen.is_none() {
        statements.push(Statement::CreateDatabase { name: name() });
    } else if !owned {
        statements.push(Statement::SetOwner { name: name() });
    }
    if !closed {
        statements.push(Statement::RevokePublic { database: wanted.name.as_str().to_owned() });
    }
}

#[cfg(test)]
mod tests;
