//! Carries out the steps of a rotation.

use super::{
    apply,
    credential::Credential,
    dereference::secret_now,
    error::Error,
    rotation::{self, Step},
    sql::{self, Conflict, Login, Outcome, Password},
    validate::Validated,
};
use crate::framework::Context;

/// How far the rotations are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// What each rotation that is under way waits for.
    pub(crate) waits: Vec<String>,
    /// Why one that is due cannot begin.
    pub(crate) blocked: Vec<String>,
}

impl Progress {
    pub(crate) fn under_way(&self) -> bool {
        !self.waits.is_empty()
    }
}

/// Takes the next step for each database that could be looked at.
pub(super) async fn advance(context: &Context, of: &Validated, outcome: &Outcome) -> Result<Progress, Error> {
    let mut progress = Progress::default();
    for login in &of.logins {
        let (Some(Ok(found)), Some(held)) = (outcome.get(&login.name), of.credentials.get(&login.name)) else {
            continue;
        };
        let name = &login.name;
        match rotation::next(&of.wish, held, found.spare, context.clock.now()) {
            Step::Rest => {}
            Step::Wait(why) => progress.waits.push(format!("{}: {why}", name.as_str())),
            Step::Blocked => progress.blocked.push(format!(
                "the server already has a role {}, which this resource needs to replace the password of {name}: drop or \
                 rename it",
                login.seat.other().of(name)
            )),
            // What was read is older than what was written: a step taken on that could lock out everybody.
            Step::Begin | Step::Close if !is_current(context, of, login, held).await? => {
                progress.waits.push(format!("{}: its Secret has just been written", name.as_str()));
            }
            Step::Begin => match begin(context, of, login, held).await? {
                Ok(()) => progress.waits.push(format!("{}: pods are about to take up the new login", name.as_str())),
                Err(conflict) => progress.blocked.push(conflict.to_string()),
            },
            Step::Close => {
                sql::retire(&context.gate, &of.server(), &of.tenancy(), login).await?;
                tracing::info!(database = %name, role = %login.seat.other().of(name), "the login before is closed");
                if rotation::is_due(&of.wish, held, context.clock.now()) {
                    progress.waits.push(format!("{}: its password is to be replaced once more", name.as_str()));
                }
            }
        }
    }
    Ok(progress)
}

async fn is_current(context: &Context, of: &Validated, login: &Login, held: &Credential) -> Result<bool, Error> {
    let now = secret_now(context, &of.namespace, &of.names.login_secret(&login.name)).await?;
    let version = now.and_then(|secret| secret.metadata.resource_version);
    Ok(version.is_some() && version == held.version)
}

/// The server learns the new password first. Until it is in the Secret nobody uses it.
async fn begin(
    context: &Context,
    of: &Validated,
    login: &Login,
    held: &Credential,
) -> Result<Result<(), Conflict>, Error> {
    let next =
        held.next(Password::generate().map_err(sql::SqlError::from)?, of.wish.request.clone(), context.clock.now());
    let login = Login { name: login.name.clone(), seat: next.seat, password: next.password.clone() };
    let outcome = sql::ensure(&context.gate, &of.server(), &of.tenancy(), std::slice::from_ref(&login)).await?;
    if let Some(conflict) = outcome.into_values().find_map(Result::err) {
        return Ok(Err(conflict));
    }
    apply::login(context, of, &login, &next).await?;
    tracing::info!(database = %login.name, role = %login.role(), "a new login is in the Secret");
    Ok(Ok(()))
}
