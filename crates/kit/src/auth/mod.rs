//! Who makes a request: access tokens and what they allow.

mod caller;
mod keys;
mod token;

pub(crate) use caller::identify;
pub use caller::{Admin, Caller, Staff};
pub use keys::{KeySource, KeysError, OwnKeys};
pub use token::{AccessClaims, Rejected, TOKEN_TYPE, Verifier, VerifierArgs};
