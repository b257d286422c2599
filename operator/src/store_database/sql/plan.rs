//! The statements that bring a server from what it is to what is wanted. Pure.
//!
//! Least privilege: a role may log in and owns its one database; nobody else may connect to that database; the role is
//! a member of nothing, or of that owner where it acts as it, and may create neither roles nor databases.

use std::collections::BTreeMap;

use super::{
    identifier::Identifier,
    login::{Seat, Spare},
    password::Verifier,
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
    Shared {
        /// The comment on each of our roles.
        mark: String,
    },
}

/// A database that must exist, owned by a role of the same name, with a role that logs in to it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Name of the database and of the role that owns it.
    pub name: Identifier,
    /// The role that logs in.
    pub seat: Seat,
    /// What the role's password must be.
    pub verifier: Verifier,
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
}

/// Why a database cannot be made: its name belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A role of that name exists and is not marked as ours.
    #[error(
        "the server already has a role {0} that this resource did not make: drop or rename it, or use another server"
    )]
    Role(Identifier),
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
    if role.is_some_and(|role| !is_ours(tenancy, role)) {
        return Err(Conflict::Role(login));
    }
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
    if matches!(tenancy, Tenancy::Shared { .. }) {
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

/// Whether a role seen on the server was made by this resource.
pub(super) fn is_ours(tenancy: &Tenancy, role: &Role) -> bool {
    match tenancy {
        Tenancy::Whole => true,
        Tenancy::Shared { mark } => role.comment.as_ref() == Some(mark),
    }
}

fn refuse_strangers(
    name: &Identifier,
    tenancy: &Tenancy,
    owner: Option<&Role>,
    database: Option<&Database>,
) -> Result<(), Conflict> {
    if owner.is_some_and(|role| !is_ours(tenancy, role)) {
        return Err(Conflict::Role(name.clone()));
    }
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
    let verifier = || wanted.verifier.clone();
    let Some(role) = role else {
        statements.push(Statement::CreateRole { role: name.clone(), verifier: verifier(), mark: mark(tenancy) });
        return;
    };
    // The password comes first: a role is never open with one that is not the Secret's.
    if !role.password_accepted {
        statements.push(Statement::SetPassword { role: name.clone(), verifier: verifier() });
    }
    if !role.wrong_attributes.is_empty() {
        statements.push(Statement::AlterRole { role: name.clone(), attributes: role.wrong_attributes.clone() });
    }
}

fn mark(tenancy: &Tenancy) -> Option<String> {
    match tenancy {
        Tenancy::Whole => None,
        Tenancy::Shared { mark } => Some(mark.clone()),
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
mod tests {
    use super::{super::password::Password, *};

    fn wanted() -> Wanted {
        Wanted {
            name: Identifier::parse("orders").unwrap(),
            seat: Seat::First,
            verifier: Password::from_secret("secret").unwrap().verifier().unwrap(),
        }
    }

    fn role() -> Role {
        Role {
            wrong_attributes: vec![],
            comment: None,
            held_by_admin: true,
            acts_as_owner: false,
            sessions: 0,
            password_accepted: true,
        }
    }

    fn observed(role: Option<Role>, database: Option<(&str, bool)>) -> Observed {
        let entry = |(owner, open_to_public): (&str, bool)| {
            ("orders".to_owned(), Database { owner: owner.to_owned(), open_to_public })
        };
        Observed {
            admin_is_superuser: false,
            roles: role.map(|role| ("orders".to_owned(), role)).into_iter().collect(),
            databases: database.map(entry).into_iter().collect(),
        }
    }

    fn shared() -> Tenancy {
        Tenancy::Shared { mark: "greencommerce.dev shop/recycled-goods".to_owned() }
    }

    fn described(tenancy: &Tenancy, observed: &Observed) -> Vec<String> {
        database(&wanted(), tenancy, observed).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_server_gets_role_database_and_a_closed_door() {
        assert_eq!(
            described(&Tenancy::Whole, &Observed::default()),
            [
                "create role \"orders\"",
                "join role \"orders\"",
                "create database \"orders\"",
                "close database \"orders\" to the public",
            ],
        );
    }

    #[test]
    fn a_superuser_need_not_join_the_role() {
        let empty = Observed { admin_is_superuser: true, ..Observed::default() };
        assert!(!described(&Tenancy::Whole, &empty).contains(&"join role \"orders\"".to_owned()));
    }

    #[test]
    fn a_server_as_wanted_needs_nothing() {
        assert!(described(&Tenancy::Whole, &observed(Some(role()), Some(("orders", false)))).is_empty());
    }

    #[test]
    fn each_drift_is_answered_by_the_one_statement_that_undoes_it() {
        let whole = Tenancy::Whole;
        let drifted = Role { wrong_attributes: vec!["LOGIN", "NOSUPERUSER"], ..role() };
        assert_eq!(
            described(&whole, &observed(Some(drifted), Some(("orders", false)))),
            ["alter role \"orders\": LOGIN NOSUPERUSER"],
        );
        let refused = Role { password_accepted: false, ..role() };
        assert_eq!(
            described(&whole, &observed(Some(refused), Some(("orders", false)))),
            ["set the password of role \"orders\""],
        );
        assert_eq!(
            described(&whole, &observed(Some(role()), Some(("orders", true)))),
            ["close database \"orders\" to the public"],
        );
        assert_eq!(
            described(&whole, &observed(Some(role()), Some(("postgres", false)))),
            ["give database \"orders\" to its role"],
        );
        assert_eq!(
            described(&whole, &observed(Some(role()), None)),
            ["create database \"orders\"", "close database \"orders\" to the public"],
        );
    }

    #[test]
    fn on_a_shared_server_what_somebody_else_made_is_left_alone() {
        let stranger = database(&wanted(), &shared(), &observed(Some(role()), None));
        assert!(matches!(stranger, Err(Conflict::Role(_))));

        let Tenancy::Shared { mark } = shared() else { unreachable!() };
        let ours = Role { comment: Some(mark), ..role() };
        let taken = database(&wanted(), &shared(), &observed(Some(ours.clone()), Some(("sap", false))));
        assert!(matches!(taken, Err(Conflict::Database { owner, .. }) if owner == "sap"));
        assert!(described(&shared(), &observed(Some(ours), Some(("orders", false)))).is_empty());
    }

    #[test]
    fn removal_takes_our_databases_and_roles_and_nobody_elses() {
        let names = [wanted().name];
        let removed = |tenancy: &Tenancy, observed: &Observed| -> Vec<String> {
            removal(&names, tenancy, observed).iter().map(ToString::to_string).collect()
        };
        let Tenancy::Shared { mark } = shared() else { unreachable!() };
        let ours = Role { comment: Some(mark), ..role() };
        assert!(removed(&shared(), &observed(Some(role()), Some(("orders", false)))).is_empty());
        assert_eq!(
            removed(&shared(), &observed(Some(ours.clone()), Some(("orders", false)))),
            ["drop database \"orders\"", "drop role \"orders\""],
        );
        assert_eq!(removed(&shared(), &observed(Some(ours), Some(("sap", false)))), ["drop role \"orders\""]);
        assert!(removed(&Tenancy::Whole, &Observed::default()).is_empty());
    }

    #[test]
    fn only_on_a_server_of_our_own_the_maintenance_databases_are_closed() {
        let open = Database { owner: "postgres".to_owned(), open_to_public: true };
        let seen = Observed { databases: [("postgres".to_owned(), open)].into(), ..Observed::default() };
        assert_eq!(maintenance(&Tenancy::Whole, &seen).len(), 1);
        assert!(maintenance(&shared(), &seen).is_empty());
    }

    #[test]
    fn the_sql_quotes_names_and_constants() {
        let name = Identifier::parse("orders").unwrap();
        let create = Statement::CreateRole {
            role: name.clone(),
            verifier: wanted().verifier,
            mark: Some("it's ours".to_owned()),
        };
        let sql = create.sql();
        assert!(sql[0].starts_with("CREATE ROLE \"orders\" LOGIN PASSWORD 'SCRAM-SHA-256$4096:"));
        assert_eq!(sql[1], "COMMENT ON ROLE \"orders\" IS 'it''s ours'");
        let revoke = Statement::RevokePublic { database: "a\"b".to_owned() };
        assert_eq!(revoke.sql(), ["REVOKE ALL ON DATABASE \"a\"\"b\" FROM PUBLIC"]);
    }

    #[test]
    fn neither_logs_nor_debug_output_show_a_verifier() {
        let statement = Statement::SetPassword { role: wanted().name, verifier: wanted().verifier };
        assert!(!format!("{statement} {statement:?}").contains("SCRAM"));
    }
    fn second(roles: [Option<Role>; 2]) -> Vec<String> {
        let names = ["orders", "orders-b"].map(str::to_owned);
        let mut observed = observed(None, Some(("orders", false)));
        observed.roles = names.into_iter().zip(roles).filter_map(|(name, role)| Some((name, role?))).collect();
        let wanted = Wanted { seat: Seat::Second, ..wanted() };
        database(&wanted, &Tenancy::Whole, &observed).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_second_role_acts_as_the_owner_who_stays_as_he_is() {
        let acting = || Role { acts_as_owner: true, ..role() };
        let locked = || Role { wrong_attributes: vec![MAY_LOG_IN], ..role() };
        assert_eq!(
            second([Some(role()), None]),
            ["create role \"orders-b\"", "let role \"orders-b\" act as \"orders\""]
        );
        assert!(second([Some(role()), Some(acting())]).is_empty());
        assert!(second([Some(locked()), Some(acting())]).is_empty());
        assert_eq!(second([Some(locked()), Some(role())]), ["let role \"orders-b\" act as \"orders\""]);
        assert_eq!(second([None, Some(acting())]), ["create role \"orders\""]);
    }

    #[test]
    fn a_role_out_of_use_is_locked_before_its_sessions_end() {
        let close = |role: Role| -> Vec<String> {
            let name = wanted().name;
            let seen = observed(Some(role), None);
            retirement(&name, &Tenancy::Whole, &seen).iter().map(ToString::to_string).collect()
        };
        let locked = Role { wrong_attributes: vec![MAY_LOG_IN], sessions: 1, ..role() };
        assert_eq!(close(role()), ["lock role \"orders\"", "end the sessions of role \"orders\""]);
        assert_eq!(close(locked), ["end the sessions of role \"orders\""]);
        let foreign = Role { held_by_admin: false, ..role() };
        assert_eq!(close(foreign)[0], "join role \"orders\"");
        assert!(retirement(&wanted().name, &shared(), &observed(Some(role()), None)).is_empty());
    }

    #[test]
    fn a_role_out_of_use_is_open_while_it_can_log_in_or_is_logged_in() {
        let seen = |role: Role| spare(&wanted().name, &Tenancy::Whole, &observed(Some(role), None));
        let locked = |sessions| Role { wrong_attributes: vec![MAY_LOG_IN], sessions, ..role() };
        assert_eq!(seen(role()), Spare::Open { sessions: 0 });
        assert_eq!(seen(locked(2)), Spare::Open { sessions: 2 });
        assert_eq!(seen(locked(0)), Spare::Closed);
        assert_eq!(spare(&wanted().name, &Tenancy::Whole, &observed(None, None)), Spare::Closed);
        assert_eq!(spare(&wanted().name, &shared(), &observed(Some(role()), None)), Spare::Taken);
    }
}
