//! `greencommerce admin create`: the first administrator, whom nobody else could appoint.

use std::io::{self, BufRead, Write};

use auth::CreateAdminError;
use clap::{Args, Subcommand};

/// What is done with administrators.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes an administrator, or makes an account one; the password is read from standard input
    Create(Create),
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

/// Why there is no administrator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("the password cannot be read from standard input")]
    Password(#[source] io::Error),
    #[error("there is no password on standard input")]
    NoPassword,
    #[error("the administrator was not made")]
    Create(#[from] CreateAdminError),
    #[error("the account's id cannot be printed")]
    Print(#[source] io::Error),
}

/// Makes the administrator and prints the account's id. Repeated, it changes nothing but the password.
pub(crate) async fn run(args: AdminArgs) -> Result<(), AdminError> {
    let Action::Create(Create { email, name, database }) = args.action;
    let password = password(io::stdin().lock())?;
    let id = auth::create_admin(&database, &email, name.as_deref(), &password).await?;
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
