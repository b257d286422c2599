//! Reservations: what an order holds.

use std::collections::BTreeMap;

use types::VariantId;

use super::{Change, Stock};

/// The most lines of one reservation.
const MOST_LINES: usize = 200;
/// The most units of one line: more than any order line may have.
const MOST_UNITS: i64 = 1_000_000;

/// What an order asks for: units by variant, sorted by variant, so that all orders take their locks in one order. A
/// variant that stands in two lines counts with both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lines(BTreeMap<VariantId, i64>);

/// Why lines make no reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinesRefused {
    /// There is no line.
    #[error("at least one line is needed")]
    Empty,
    /// There are too many lines.
    #[error("at most 200 lines can be reserved at once")]
    TooMany,
    /// A line has no units, or too many.
    #[error("a line must have 1 to 1000000 units")]
    Units,
}

/// A variant of which there is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortLine {
    /// The variant.
    pub(crate) variant_id: VariantId,
    /// Units asked for.
    pub(crate) requested: i64,
    /// Units there are for this order.
    pub(crate) available: i64,
}

/// What to do with a request for stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Hold it, by these changes: none where it is held already.
    Hold(Vec<Change>),
    /// Hold nothing, and let go of what an earlier try of the same order held.
    Short {
        /// The variants that do not have enough.
        lines: Vec<ShortLine>,
        /// What the earlier try held, let go.
        changes: Vec<Change>,
    },
}

/// Decides about an order that holds `held` (from an earlier try; mostly nothing) and wants `wanted`, with `stock` as it is
/// now. All lines or none.
#[must_use]
pub(crate) fn plan(held: &Lines, wanted: &Lines, stock: &[Stock]) -> Plan {
    let stock: BTreeMap<_, _> = stock.iter().map(|stock| (stock.variant_id, stock)).collect();
    let short: Vec<_> = wanted
        .iter()
        .filter_map(|(variant_id, requested)| {
            let available = stock.get(&variant_id).map_or(0, |stock| stock.available()) + held.units(variant_id);
            (requested > available).then_some(ShortLine { variant_id, requested, available })
        })
        .collect();
    if short.is_empty() {
        Plan::Hold(held.changes_to(wanted))
    } else {
        Plan::Short { lines: short, changes: held.changes_to(&Lines::default()) }
    }
}

impl Lines {
    /// The lines of a request.
    pub(crate) fn new(lines: impl IntoIterator<Item = (VariantId, i64)>) -> Result<Self, LinesRefused> {
        let mut by_variant = BTreeMap::new();
        for (variant_id, units) in lines {
            if !(1..=MOST_UNITS).contains(&units) {
                return Err(LinesRefused::Units);
            }
            let sum = by_variant.entry(variant_id).or_insert(0_i64);
            *sum = sum.saturating_add(units);
            if *sum > MOST_UNITS {
                return Err(LinesRefused::Units);
            }
        }
        match by_variant.len() {
            0 => Err(LinesRefused::Empty),
            1..=MOST_LINES => Ok(Self(by_variant)),
            _ => Err(LinesRefused::TooMany),
        }
    }

    /// The lines that were stored.
    pub(crate) fn from_stored(lines: impl IntoIterator<Item = (VariantId, i64)>) -> Self {
        Self(lines.into_iter().collect())
    }

    /// Each variant with its units, sorted by variant.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (VariantId, i64)> {
        self.0.iter().map(|(variant_id, units)| (*variant_id, *units))
    }

    /// The changes that let everything go.
    #[must_use]
    pub(crate) fn release(&self) -> Vec<Change> {
        self.changes_to(&Self::default())
    }

    fn units(&self, variant_id: VariantId) -> i64 {
        self.0.get(&variant_id).copied().unwrap_or(0)
    }

    fn changes_to(&self, wanted: &Self) -> Vec<Change> {
        let mut variants: Vec<_> = self.0.keys().chain(wanted.0.keys()).copied().collect();
        variants.sort_unstable();
        variants.dedup();
        let change = |id| Change::hold(id, wanted.units(id) - self.units(id));
        variants.into_iter().map(change).filter(|change| change.reserved != 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(variant_id: VariantId, available: i64) -> Stock {
        Stock { variant_id, on_hand: available + 3, reserved: 3, version: 1 }
    }

    fn lines(lines: &[(VariantId, i64)]) -> Lines {
        Lines::new(lines.iter().copied()).unwrap()
    }

    #[test]
    fn a_variant_in_two_lines_counts_with_both() {
        let tote = VariantId::new();
        let wanted = lines(&[(tote, 2), (tote, 3)]);
        assert_eq!(plan(&Lines::default(), &wanted, &[stock(tote, 5)]), Plan::Hold(vec![Change::hold(tote, 5)]));
        let short = vec![ShortLine { variant_id: tote, requested: 5, available: 4 }];
        let refused = Plan::Short { lines: short, changes: vec![] };
        assert_eq!(plan(&Lines::default(), &wanted, &[stock(tote, 4)]), refused);
    }

    #[test]
    fn one_short_line_holds_nothing() {
        let (tote, lamp) = (VariantId::new(), VariantId::new());
        let outcome = plan(&Lines::default(), &lines(&[(tote, 1), (lamp, 1)]), &[stock(tote, 5)]);
        let short = vec![ShortLine { variant_id: lamp, requested: 1, available: 0 }];
        assert_eq!(outcome, Plan::Short { lines: short, changes: vec![] });
    }

    #[test]
    fn repeating_a_reservation_changes_nothing_even_when_the_rest_is_gone() {
        let tote = VariantId::new();
        let wanted = lines(&[(tote, 3)]);
        assert_eq!(plan(&wanted, &wanted, &[stock(tote, 0)]), Plan::Hold(vec![]));
    }

    #[test]
    fn a_repeat_with_other_lines_moves_only_the_difference() {
        let (tote, lamp) = (VariantId::new(), VariantId::new());
        let outcome = plan(&lines(&[(tote, 3)]), &lines(&[(tote, 1), (lamp, 2)]), &[stock(tote, 0), stock(lamp, 2)]);
        assert_eq!(outcome, Plan::Hold(vec![Change::hold(tote, -2), Change::hold(lamp, 2)]));
        let outcome = plan(&lines(&[(tote, 3)]), &lines(&[(lamp, 9)]), &[stock(tote, 0), stock(lamp, 2)]);
        let short = vec![ShortLine { variant_id: lamp, requested: 9, available: 2 }];
        assert_eq!(outcome, Plan::Short { lines: short, changes: vec![Change::hold(tote, -3)] });
    }

    #[test]
    fn absurd_lines_make_no_reservation() {
        let tote = VariantId::new();
        assert_eq!(Lines::new([]), Err(LinesRefused::Empty));
        for units in [0, -1, i64::MIN, i64::MAX, MOST_UNITS + 1] {
            assert_eq!(Lines::new([(tote, units)]), Err(LinesRefused::Units), "{units}");
        }
        assert_eq!(Lines::new([(tote, MOST_UNITS), (tote, 1)]), Err(LinesRefused::Units));
        assert_eq!(Lines::new((0..=MOST_LINES).map(|_| (VariantId::new(), 1))), Err(LinesRefused::TooMany));
    }
}
