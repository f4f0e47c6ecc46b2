//! By what records are made up.

use crate::nexmark::{Random, Timeline, mix64};

/// By what records are made up: record `number` of a recipe is the same whoever makes it, whatever
/// was made before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    pub(crate) timeline: Timeline,
    /// How far a record may be behind one before it, in milliseconds.
    pub(crate) jitter_ms: u64,
}

impl Default for Recipe {
    /// That of `thalweg generate` without options.
    fn default() -> Self {
        Recipe {
            seed: 42,
            timeline: Timeline::new(10_000),
            jitter_ms: 0,
        }
    }
}

impl Recipe {
    /// Chance for record `number` of a kind: each has a stream of its own.
    pub(super) fn random(&self, kind: u64, number: u64) -> Random {
        Random::new(mix64(self.seed ^ kind) ^ mix64(number))
    }

    /// `date_time_ms`, or up to the jitter earlier: no more than that behind any record before.
    pub(super) fn disturbed(&self, date_time_ms: i64, random: &mut Random) -> i64 {
        date_time_ms.saturating_sub_unsigned(random.below(self.jitter_ms + 1))
    }
}
