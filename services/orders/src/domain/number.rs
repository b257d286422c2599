//! Order numbers.

use std::fmt;

/// The number of an order for people: `GC-2026-000123`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderNumber {
    year: i16,
    sequence: i64,
}

impl OrderNumber {
    /// The number of the `sequence`-th order, placed in `year`.
    #[must_use]
    pub const fn new(year: i16, sequence: i64) -> Self {
        Self { year, sequence }
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GC-{:04}-{:06}", self.year, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_six_digits_and_grows_beyond_them() {
        assert_eq!(OrderNumber::new(2026, 123).to_string(), "GC-2026-000123");
        assert_eq!(OrderNumber::new(2026, 12_345_678).to_string(), "GC-2026-12345678");
    }
}
