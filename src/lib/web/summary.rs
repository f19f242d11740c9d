//! What a day came to: from its results, without a disk.

use super::model::{Row, Summary};
use crate::names::State;

impl Summary {
    /// Returns what these results come to.
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut summary = Self::default();
        for row in rows {
            summary.counts.add(row.state);
            if let Some(builder) = &row.builder {
                let (built, other) = summary.builders.entry(builder.clone()).or_default();
                *(if row.state == State::Built { built } else { other }) += 1;
            }
            if row.state == State::Failed {
                *summary.breakers.entry(row.name.clone()).or_default() += 1;
            }
        }
        let waited =
            |row: &Row| row.started.map(|started| started.duration_since(row.id.time()).as_secs().max(0));
        summary.waited = spread(rows.iter().filter_map(waited));
        summary.took = spread(rows.iter().filter_map(|row| row.took));
        summary
    }
}

/// Returns what half, and nine in ten, are not above.
fn spread(values: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    let at = |share: usize| values.get((values.len() * share).div_ceil(10).saturating_sub(1)).copied();
    Some((at(5)?, at(9)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_and_nine_in_ten_are_not_above_the_spread() {
        assert_eq!(spread(1..=10), Some((5, 9)));
        assert_eq!(spread([7].into_iter()), Some((7, 7)));
        assert_eq!(spread([].into_iter()), None);
    }
}
