//! Days and price ranks, by which queries 15 to 19 aggregate bids.

use std::time::Duration;

use thalweg::time::{Timestamp, hours};

/// The length of a day's window.
pub(super) const DAY: Duration = hours(24);

/// Price ranks: low, middle, high.
pub(super) const RANKS: usize = 3;

/// The day that contains `at`, counted from the epoch.
pub(super) fn day(at: Timestamp) -> u64 {
    (at.as_millis() / 86_400_000) as u64
}

/// The rank of a price: below 100 dollars, below 10,000, or above.
#[inline(always)]
pub(super) fn price_rank(price: u64) -> usize {
    usize::from(price >= 10_000) + usize::from(price >= 1_000_000)
}
