//! What auth decides: pure, without I/O.

mod account;
mod keys;
mod password;
mod refresh;
mod throttle;

pub(crate) use account::{Account, AccountStatus};
pub(crate) use keys::{KeyPlan, NewKey, StoredKey};
pub(crate) use password::{Owner, Password};
pub(crate) use refresh::{Chain, Presented, RefreshToken, SESSION_LIFETIME_DAYS};
pub(crate) use throttle::{Limit, PER_ACCOUNT, PER_CLIENT, WINDOW_SECONDS, network, subject};
