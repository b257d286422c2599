//! Writes a database's children, as far as they differ.

use api::{Reason, StoreDatabase};

use super::{
    build,
    credential::Credential,
    dereference::{Reads, ServerReads},
    sql::Login,
    validate::{Mode, Validated},
};
use crate::{
    framework::{ApplyError, Context, apply},
    storage,
};

/// Whether the superuser's Secret exists: then it is never written again, also not its labels, in whatever way it came.
pub(super) struct Superuser {
    exists: bool,
}

impl Superuser {
    pub(super) fn of(reads: &Reads) -> Self {
        match &reads.server {
            ServerReads::Managed(server) => Self { exists: server.superuser.is_some() },
            ServerReads::External(_) => Self { exists: false },
        }
    }
}

/// Whether a Secret is still to be made.
pub(super) fn makes_a_secret(validated: &Validated, superuser: &Superuser) -> bool {
    let login = validated.credentials.values().any(|held| held.version.is_none());
    login || (matches!(validated.mode, Mode::Managed(_)) && !superuser.exists)
}

/// Writes the children. Returns whether the server itself was changed, so that what is known of it is out of date.
pub(super) async fn children(
    context: &Context,
    database: &StoreDatabase,
    validated: &Validated,
    superuser: &Superuser,
) -> Result<bool, ApplyError> {
    let mut changed = false;
    if let Mode::Managed(managed) = &validated.mode {
        let server = build::server(validated, managed);
        // The password is kept before anything is made with it.
        if !superuser.exists {
            apply(context, server.superuser).await?;
        }
        apply(context, server.policy).await?;
        storage::bring(context, database, managed.seen.as_ref(), &managed.claim.state, server.volume).await?;
        apply(context, server.service).await?;
        changed = apply(context, server.stateful_set).await?;
    }
    for login in build::logins(validated) {
        apply(context, login).await?;
    }
    Ok(changed)
}

/// Tells of each login that was made because the one before got lost: nobody asked for it.
pub(super) async fn tell_of_lost_logins(context: &Context, database: &StoreDatabase, of: &Validated) {
    for (name, _) in of.credentials.iter().filter(|(_, held)| held.replaces_a_lost_one()) {
        let note = format!(
            "Secret {} is gone or has no password: database {} gets a new login there, and the one before works until no \
             pod uses it",
            of.names.login_secret(name),
            of.names.in_spec(name),
        );
        context.events.publish(database, Reason::RotatingPasswords, &note).await;
    }
}

/// Puts another login into the Secret of a database.
pub(super) async fn login(
    context: &Context,
    of: &Validated,
    login: &Login,
    held: &Credential,
) -> Result<(), ApplyError> {
    apply(context, build::login(of, login, held)).await.map(drop)
}
