//! Databases and login roles on a PostgreSQL server.
//!
//! `plan` decides which statements bring the server from what it is to what is wanted, `server` talks to it.

mod identifier;
mod login;
mod mark;
mod password;
mod plan;
mod server;
mod statement;
mod tls;

pub use identifier::{Identifier, InvalidIdentifier};
pub use login::{Login, Seat, Spare};
pub use mark::Mark;
pub use password::{NoRandomness, Password};
pub use plan::{Conflict, Tenancy};
pub use server::{Found, Outcome, Server, SqlError, ensure, remove, retire};
pub use tls::{Authorities, InvalidAuthorities, Tls, TlsError};
