//! The first administrator, who cannot be made by another one.

use events::{UserEvent, UserRegistered};
use types::{EmailAddress, Invalid, Role, ShortText, UserId};

use crate::{
    domain::{Account, Owner, Password},
    hashing::{self, HashError},
    store,
};

/// Why there is no administrator.
#[derive(Debug, thiserror::Error)]
pub enum CreateAdminError {
    /// The address, the name or the password is not allowed.
    #[error("the {field} {expected}")]
    Invalid {
        /// Which of them.
        field: &'static str,
        /// What is expected of it.
        expected: Invalid,
    },
    /// The password cannot be hashed.
    #[error("the password cannot be hashed")]
    Hash(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address of the database is malformed.
    #[error("the database cannot be connected to")]
    Connect(#[from] db::ConnectError),
    /// The database did not take it.
    #[error("the account cannot be written")]
    Database(#[from] sqlx::Error),
}

/// Makes an administrator, or makes the account of `email` one, with that password. Repeated, it changes nothing.
///
/// A new account is called `name`, or "Administrator".
pub async fn create_admin(
    args: &db::DatabaseArgs,
    email: &str,
    name: Option<&str>,
    password: &str,
) -> Result<UserId, CreateAdminError> {
    let invalid = |field| move |expected| CreateAdminError::Invalid { field, expected };
    let email: EmailAddress = email.parse().map_err(invalid("address"))?;
    let name: ShortText = name.unwrap_or("Administrator").parse().map_err(invalid("name"))?;
    let password = Password::chosen(password, Owner { email: &email, name: &name }).map_err(invalid("password"))?;
    let database = db::Database::connect(args, "auth-admin")?;
    let outcome = create(&database, &email, &name, password).await;
    database.close().await;
    outcome
}

async fn create(
    database: &db::Database,
    email: &EmailAddress,
    name: &ShortText,
    password: Password,
) -> Result<UserId, CreateAdminError> {
    let hash = in_background({
        let password = password.clone();
        move || hashing::hash(&password)
    })
    .await?;
    let mut tx = database.begin("create-admin").await?;
    let roles = [Role::Customer, Role::Admin];
    let new = store::accounts::NewAccount { id: UserId::new(), email, name, password_hash: &hash, roles: &roles };
    if let Some(Account { id, .. }) = store::accounts::insert(&mut tx, new).await? {
        let registered = UserRegistered { user_id: id, email: email.clone(), name: name.clone() };
        db::outbox::append(&mut tx, UserEvent::Registered(registered), None).await?;
        tx.commit().await?;
        return Ok(id);
    }
    let existing = store::accounts::by_email(&mut tx, email).await?.ok_or(sqlx::Error::RowNotFound)?;
    let id = existing.account.id;
    let stored = existing.password_hash.clone();
    if !in_background(move || hashing::verify(&password, &stored)).await? {
        store::accounts::set_password(&mut tx, id, &existing.password_hash, &hash).await?;
        store::sessions::end_all(&mut tx, id, None).await?;
    }
    if !existing.account.roles.contains(&Role::Admin) {
        let roles = [&existing.account.roles[..], &[Role::Admin]].concat();
        store::accounts::set_roles(&mut tx, id, &roles).await?;
    }
    tx.commit().await?;
    Ok(id)
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
) -> Result<T, CreateAdminError> {
    let outcome = tokio::task::spawn_blocking(work).await.map_err(HashError::from).and_then(|result| result);
    outcome.map_err(|error| CreateAdminError::Hash(Box::new(error)))
}
