//! Stock of one variant.

use types::VariantId;

/// The most units of a variant that can be in the warehouse.
pub(crate) const LARGEST_STOCK: i64 = 1_000_000_000;

/// The stock of one variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stock {
    /// The variant.
    pub(crate) variant_id: VariantId,
    /// Units in the warehouse.
    pub(crate) on_hand: i64,
    /// Units held for orders that are not paid yet.
    pub(crate) reserved: i64,
    /// Counts the changes.
    pub(crate) version: i64,
}

/// A change of one variant's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// The variant.
    pub(crate) variant_id: VariantId,
    /// Units that come into the warehouse; negative where they leave it.
    pub(crate) on_hand: i64,
    /// Units that are held; negative where they are let go.
    pub(crate) reserved: i64,
}

/// Why stock changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MovementKind {
    /// The first stock of the variant.
    Initial,
    /// Staff counted, received or wrote off.
    Adjustment,
    /// Held for an order.
    Reserved,
    /// Let go by an order.
    Released,
}

impl Stock {
    /// Units that can be ordered.
    #[must_use]
    pub(crate) const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

impl Change {
    /// Holds `units`, or lets them go where negative.
    #[must_use]
    pub(crate) const fn hold(variant_id: VariantId, units: i64) -> Self {
        Self { variant_id, on_hand: 0, reserved: units }
    }
}

impl MovementKind {
    /// Its name in the database and on the wire.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Adjustment => "adjustment",
            Self::Reserved => "reserved",
            Self::Released => "released",
        }
    }
}
