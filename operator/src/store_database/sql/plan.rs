//! The statements that bring a server from what it is to what is wanted. Pure.
//!
//! Least privilege: a role may log in and owns its one database; nobody else may connect to that database; the role is
//! a member of nothing and may create neither roles nor databases.

use std::{collections::BTreeMap, fmt};

use super::{
    identifier::{Identifier, Literal, Quoted},
    password::Verifier,
};

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

/// A database that must exist, with a login role of the same name that owns it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Name of the database and of its role.
    pub name: Identifier,
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

/// One change of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// Makes a login role, and marks it in the same transaction.
    CreateRole { role: Identifier, verifier: Verifier, mark: Option<String> },
    /// Takes away or gives back attributes.
    AlterRole { role: Identifier, attributes: Vec<&'static str> },
    /// Sets the password that stands in the role's Secret.
    SetPassword { role: Identifier, verifier: Verifier },
    /// Lets an administrator who is no superuser give the role a database.
    JoinRole { role: Identifier },
    /// Makes a database.
    CreateDatabase { name: Identifier },
    /// Gives a database to its role.
    SetOwner { name: Identifier },
    /// Closes a database to everybody but its owner.
    RevokePublic { database: String },
    /// Removes a database with all that is in it, whoever is connected.
    DropDatabase { name: Identifier },
    /// Removes a role.
    DropRole { role: Identifier },
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
    let role = observed.roles.get(wanted.name.as_str());
    refuse_strangers(wanted, tenancy, role, seen)?;
    plan_role(wanted, tenancy, role, &mut statements);
    let held = observed.admin_is_superuser || role.is_some_and(|role| role.held_by_admin);
    plan_database(wanted, held, seen, &mut statements);
    Ok(statements)
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
    let ours = |name: &&Identifier| observed.roles.get(name.as_str()).is_some_and(|role| is_ours(tenancy, role));
    let drops = |name: &Identifier| {
        let owns = observed.databases.get(name.as_str()).is_some_and(|database| database.owner == name.as_str());
        let database = owns.then(|| Statement::DropDatabase { name: name.clone() });
        database.into_iter().chain([Statement::DropRole { role: name.clone() }])
    };
    names.iter().filter(ours).flat_map(drops).collect()
}

/// Whether a role seen on the server was made by this resource.
pub(super) fn is_ours(tenancy: &Tenancy, role: &Role) -> bool {
    match tenancy {
        Tenancy::Whole => true,
        Tenancy::Shared { mark } => role.comment.as_ref() == Some(mark),
    }
}

fn refuse_strangers(
    wanted: &Wanted,
    tenancy: &Tenancy,
    role: Option<&Role>,
    database: Option<&Database>,
) -> Result<(), Conflict> {
    if role.is_some_and(|role| !is_ours(tenancy, role)) {
        return Err(Conflict::Role(wanted.name.clone()));
    }
    match database {
        Some(seen) if seen.owner != wanted.name.as_str() && *tenancy != Tenancy::Whole => {
            Err(Conflict::Database { name: wanted.name.clone(), owner: seen.owner.clone() })
        }
        _ => Ok(()),
    }
}

fn plan_role(wanted: &Wanted, tenancy: &Tenancy, role: Option<&Role>, statements: &mut Vec<Statement>) {
    let name = || wanted.name.clone();
    let verifier = || wanted.verifier.clone();
    let Some(role) = role else {
        let mark = match tenancy {
            Tenancy::Whole => None,
            Tenancy::Shared { mark } => Some(mark.clone()),
        };
        statements.push(Statement::CreateRole { role: name(), verifier: verifier(), mark });
        return;
    };
    if !role.wrong_attributes.is_empty() {
        statements.push(Statement::AlterRole { role: name(), attributes: role.wrong_attributes.clone() });
    }
    if !role.password_accepted {
        statements.push(Statement::SetPassword { role: name(), verifier: verifier() });
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

impl Statement {
    /// The SQL, one string a command. More than one run in one transaction; `CREATE DATABASE` may run in none.
    pub(super) fn sql(&self) -> Vec<String> {
        match self {
            Self::CreateRole { role, verifier, mark } => {
                let create = format!("CREATE ROLE {role} LOGIN PASSWORD {}", Literal(verifier.as_str()));
                let comment = mark.as_ref().map(|mark| format!("COMMENT ON ROLE {role} IS {}", Literal(mark)));
                std::iter::once(create).chain(comment).collect()
            }
            Self::AlterRole { role, attributes } => vec![format!("ALTER ROLE {role} {}", attributes.join(" "))],
            Self::SetPassword { role, verifier } => {
                vec![format!("ALTER ROLE {role} PASSWORD {}", Literal(verifier.as_str()))]
            }
            Self::JoinRole { role } => vec![format!("GRANT {role} TO CURRENT_USER")],
            Self::CreateDatabase { name } => {
                vec![format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0 ENCODING 'UTF8'")]
            }
            Self::SetOwner { name } => vec![format!("ALTER DATABASE {name} OWNER TO {name}")],
            Self::RevokePublic { database } => vec![format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", Quoted(database))],
            Self::DropDatabase { name } => vec![format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")],
            Self::DropRole { role } => vec![format!("DROP ROLE IF EXISTS {role}")],
        }
    }
}

/// What the statement does, for logs: without the verifier.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRole { role, .. } => write!(f, "create role {role}"),
            Self::AlterRole { role, attributes } => write!(f, "alter role {role}: {}", attributes.join(" ")),
            Self::SetPassword { role, .. } => write!(f, "set the password of role {role}"),
            Self::JoinRole { role } => write!(f, "join role {role}"),
            Self::CreateDatabase { name } => write!(f, "create database {name}"),
            Self::SetOwner { name } => write!(f, "give database {name} to its role"),
            Self::RevokePublic { database } => write!(f, "close database {} to the public", Quoted(database)),
            Self::DropDatabase { name } => write!(f, "drop database {name}"),
            Self::DropRole { role } => write!(f, "drop role {role}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::password::Password, *};

    fn wanted() -> Wanted {
        Wanted {
            name: Identifier::parse("orders").unwrap(),
            verifier: Password::from_secret("secret").unwrap().verifier().unwrap(),
        }
    }

    fn role() -> Role {
        Role { wrong_attributes: vec![], comment: None, held_by_admin: true, password_accepted: true }
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
}
