//! Changes of a server, as SQL. Pure.

use std::fmt;

use super::{
    identifier::{Identifier, Literal, Quoted},
    password::{NoRandomness, Password},
};

/// One change of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// Makes a login role, and marks it in the same transaction.
    CreateRole { role: Identifier, password: Password, mark: Option<String> },
    /// Takes away or gives back attributes.
    AlterRole { role: Identifier, attributes: Vec<&'static str> },
    /// Sets the password that stands in the role's Secret.
    SetPassword { role: Identifier, password: Password },
    /// Makes a role that owns a database and cannot log in, and marks it in the same transaction.
    CreateOwner { role: Identifier, mark: Option<String> },
    /// Says on a role whose it is.
    Mark { role: Identifier, mark: String },
    /// Lets a role act as another in each of its sessions, so that what it makes belongs to that one.
    ActAs { role: Identifier, owner: Identifier },
    /// Takes the password from a role, and the right to log in.
    Lock { role: Identifier },
    /// Ends every connection of a role.
    EndSessions { role: Identifier },
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

impl Statement {
    /// The SQL, one string a command. More than one run in one transaction; `CREATE DATABASE` may run in none. A password
    /// becomes its verifier only here: to make one takes thousands of rounds, and most looks at a server change nothing.
    pub(super) fn sql(&self) -> Result<Vec<String>, NoRandomness> {
        Ok(match self {
            Self::CreateRole { role, password, mark } => {
                let create = format!("CREATE ROLE {role} LOGIN PASSWORD {}", Literal(password.verifier()?.as_str()));
                marked(create, role, mark.as_deref())
            }
            Self::Mark { role, mark } => vec![comment(role, mark)],
            Self::CreateOwner { role, mark } => marked(format!("CREATE ROLE {role} NOLOGIN"), role, mark.as_deref()),
            Self::ActAs { role, owner } => {
                let set = format!("ALTER ROLE {role} SET role = {}", Literal(owner.as_str()));
                vec![format!("GRANT {owner} TO {role}"), set]
            }
            Self::Lock { role } => vec![format!("ALTER ROLE {role} NOLOGIN PASSWORD NULL")],
            Self::EndSessions { role } => {
                let name = Literal(role.as_str());
                vec![format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {name}")]
            }
            Self::AlterRole { role, attributes } => vec![format!("ALTER ROLE {role} {}", attributes.join(" "))],
            Self::SetPassword { role, password } => {
                vec![format!("ALTER ROLE {role} PASSWORD {}", Literal(password.verifier()?.as_str()))]
            }
            Self::JoinRole { role } => vec![format!("GRANT {role} TO CURRENT_USER")],
            Self::CreateDatabase { name } => {
                vec![format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0 ENCODING 'UTF8'")]
            }
            Self::SetOwner { name } => vec![format!("ALTER DATABASE {name} OWNER TO {name}")],
            Self::RevokePublic { database } => vec![format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", Quoted(database))],
            Self::DropDatabase { name } => vec![format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")],
            Self::DropRole { role } => vec![format!("DROP ROLE IF EXISTS {role}")],
        })
    }
}

fn marked(create: String, role: &Identifier, mark: Option<&str>) -> Vec<String> {
    std::iter::once(create).chain(mark.map(|mark| comment(role, mark))).collect()
}

fn comment(role: &Identifier, mark: &str) -> String {
    format!("COMMENT ON ROLE {role} IS {}", Literal(mark))
}

/// What the statement does, for logs: without the password.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRole { role, .. } | Self::CreateOwner { role, .. } => write!(f, "create role {role}"),
            Self::Mark { role, .. } => write!(f, "mark role {role} as ours"),
            Self::ActAs { role, owner } => write!(f, "let role {role} act as {owner}"),
            Self::Lock { role } => write!(f, "lock role {role}"),
            Self::EndSessions { role } => write!(f, "end the sessions of role {role}"),
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
