//! `TimeWindow`: an interval of event time.

use crate::record::{Pod, Record};
use crate::time::Timestamp;

/// A window of event time: from `start` (inclusive) to `end` (exclusive).
///
/// An end beyond [`Timestamp::MAX`] becomes `MAX`, a start before [`Timestamp::MIN`] becomes `MIN`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, bytemuck::Pod, bytemuck::Zeroable,
)]
#[repr(C)]
pub struct TimeWindow {
    /// The first timestamp in the window.
    pub start: Timestamp,
    /// The first timestamp after the window.
    pub end: Timestamp,
}

impl Record for TimeWindow {
    type Form = Pod;
}

impl TimeWindow {
    /// Returns the last timestamp in the window, `end` minus one nanosecond: when it fires, and the timestamp of
    /// its results.
    #[inline]
    #[must_use]
    pub const fn max_timestamp(self) -> Timestamp {
        self.end.saturating_sub(1)
    }
}

impl std::fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}
