//! The parameters from which records are generated.

use crate::nexmark::{Random, Timeline, mix64};

/// The parameters from which records are generated: record `number` of a recipe is always the same, whoever generates
/// it and whatever was generated before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    pub(crate) timeline: Timeline,
    /// The maximum number of milliseconds by which a record may be behind an earlier one.
    pub(crate) jitter_ms: u64,
}

impl Default for Recipe {
    /// The recipe of `thalweg generate` without options.
    fn default() -> Self {
        Recipe {
            seed: 42,
            timeline: Timeline::new(10_000),
            jitter_ms: 0,
        }
    }
}

impl Recipe {
    /// The random stream for record `number` of a kind: each has its own.
    pub(super) fn random(&self, kind: u64, number: u64) -> Random {
        Random::new(mix64(self.seed ^ kind) ^ mix64(number))
    }

    /// `date_time_ms`, moved back by up to the jitter: the maximum distance behind any earlier record.
    pub(super) fn disturbed(&self, date_time_ms: i64, random: &mut Random) -> i64 {
        date_time_ms.saturating_sub_unsigned(random.below(self.jitter_ms + 1))
    }
}
