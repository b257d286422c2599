//! The one place that reads the machine's clock.

use jiff::Timestamp;

/// The time now.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a command runs once, at the time its user has")]
    Timestamp::now()
}
