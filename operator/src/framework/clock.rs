//! Time, handed to those who need it rather than taken from the air.

use jiff::Timestamp;

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(fn() -> Timestamp);

impl Clock {
    /// The clock of the machine.
    pub(crate) fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
        Self(Timestamp::now)
    }

    /// The time now.
    pub(crate) fn now(self) -> Timestamp {
        (self.0)()
    }
}
