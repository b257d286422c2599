//! `greencommerce admin`: what is done beside the running services. `create` makes the first administrator, whom nobody
//! else could appoint; `rotate-keys` makes a new key to sign tokens with.

use std::io::{self, BufRead, Write};

use auth::{CreateAdminError, RotateKeysError};
use clap::{Args, Subcommand};

/// What is done beside the running services.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes an administrator, or makes an account one; the password is read from standard input
    Create(Create),
    /// Makes a new key that signs access tokens and prints its id; nobody is logged out
    RotateKeys(RotateKeys),
}

#[derive(Debug, Args)]
struct Create {
    /// Address to log in with
    #[arg(long)]
    email: String,

    /// Name of a new account; "Administrator" where nothing is said
    #[arg(long)]
    name: Option<String>,

    #[command(flatten)]
    database: db::DatabaseArgs,
}

#[derive(Debug, Args)]
struct RotateKeys {
    #[command(flatten)]
    database: db::DatabaseArgs,
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("the password cannot be read from standard input")]
    Password(#[source] io::Error),
    #[error("there is no password on standard input")]
    NoPassword,
    #[error("the administrator was not made")]
    Create(#[from] CreateAdminError),
    #[error("there is no new key")]
    RotateKeys(#[from] RotateKeysError),
    #[error("the id cannot be printed")]
    Print(#[source] io::Error),
}

/// Does what is asked and prints the id of what was made. An administrator that is made again keeps all but the password.
pub(crate) async fn run(args: AdminArgs) -> Result<(), AdminError> {
    let id = match args.action {
        Action::Create(Create { email, name, database }) => {
            let password = password(io::stdin().lock())?;
            auth::create_admin(&database, &email, name.as_deref(), &password).await?.to_string()
        }
        Action::RotateKeys(RotateKeys { database }) => auth::rotate_keys(&database).await?,
    };
    writeln!(io::stdout(), "{id}").map_err(AdminError::Print)
}

/// The first line, without its end.
fn password(mut input: impl BufRead) -> Result<String, AdminError> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(AdminError::Password)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() { Err(AdminError::NoPassword) } else { Ok(password.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_first_line_as_it_is() {
        assert_eq!(password(" two words \r\nmore\n".as_bytes()).unwrap(), " two words ");
        assert!(matches!(password("\n".as_bytes()), Err(AdminError::NoPassword)));
        assert!(matches!(password("".as_bytes()), Err(AdminError::NoPassword)));
    }
}
