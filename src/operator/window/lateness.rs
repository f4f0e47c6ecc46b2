//! Lateness: when a window is over for good, and when a record is too late.
//!
//! Flink's `WindowOperator`: `cleanupTime`, `isWindowLate`, `isElementLate`, as pure functions. Sums
//! saturate at the ends of the timestamp range: a window whose clean-up time is [`Timestamp::MAX`] is
//! late only at the end of input.

use std::time::Duration;

use crate::time::{Timestamp, nanos};

use super::time_window::TimeWindow;

/// The allowed lateness: how long a window's contents are kept after the watermark has passed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lateness(i64);

impl Lateness {
    /// Keeps windows for `allowed` in event time.
    #[must_use]
    pub const fn of(allowed: Duration) -> Self {
        Lateness(nanos(allowed))
    }

    /// Returns when the contents of `window` are dropped: its maximal timestamp plus the allowed lateness.
    #[inline]
    #[must_use]
    pub const fn cleanup_time(self, window: TimeWindow) -> Timestamp {
        window.max_timestamp().saturating_add(self.0)
    }

    /// Returns whether `window` is over for good: it takes no more records.
    #[inline]
    #[must_use]
    pub fn is_window_late(self, window: TimeWindow, watermark: Timestamp) -> bool {
        self.cleanup_time(window) <= watermark
    }

    /// Returns whether a record at `at` is late, given that no window took it.
    ///
    /// That holds for a record in a gap between windows, too, if it is behind the watermark: in Flink a record counts
    /// as skipped until a window takes it. Being in no window alone makes no record late.
    #[inline]
    #[must_use]
    pub fn is_record_late(self, at: Timestamp, watermark: Timestamp) -> bool {
        at.saturating_add(self.0) <= watermark
    }

    /// Returns the time by which windows must have ended to be late; never later than the true one.
    pub(super) fn horizon(self, watermark: Timestamp) -> Timestamp {
        if watermark == Timestamp::MAX {
            watermark
        } else {
            watermark.saturating_sub(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: i64 = i64::MAX;

    fn window(start: i64, end: i64) -> TimeWindow {
        let (start, end) = (Timestamp(start), Timestamp(end));
        TimeWindow { start, end }
    }

    #[test]
    fn window_is_late_when_its_cleanup_time_is_reached() {
        // (end, allowed, watermark, late)
        let cases = [
            (10, 0, 8, false),
            (10, 0, 9, true),
            (10, 0, 10, true),
            (10, 5, 13, false),
            (10, 5, 14, true),
            (-10, 5, -7, false),
            (-10, 5, -6, true),
            (10, MAX, MAX - 1, false),
            (10, MAX, MAX, true),
            (MAX - 1, 0, MAX - 3, false),
            (MAX - 1, 0, MAX - 2, true),
            (MAX, 0, MAX - 1, false),
            (MAX, 0, MAX, true),
            (MAX, 5, MAX - 1, false),
            (MAX, 5, MAX, true),
            (10, 0, i64::MIN, false),
        ];
        for (end, allowed, watermark, late) in cases {
            let lateness = Lateness::of(Duration::from_nanos(allowed as u64));
            let found = lateness.is_window_late(window(end - 10, end), Timestamp(watermark));
            assert_eq!(
                found, late,
                "end {end}, lateness {allowed}, watermark {watermark}"
            );
        }
    }

    #[test]
    fn record_is_late_at_the_watermark_and_before() {
        let cases = [
            (10, 0, 9, false),
            (10, 0, 10, true),
            (10, 5, 14, false),
            (10, 5, 15, true),
            (-3, 0, -4, false),
            (-3, 0, -3, true),
            (MAX - 1, 5, MAX - 1, false),
            (MAX - 1, 5, MAX, true),
        ];
        for (at, allowed, watermark, late) in cases {
            let lateness = Lateness::of(Duration::from_nanos(allowed));
            let found = lateness.is_record_late(Timestamp(at), Timestamp(watermark));
            assert_eq!(
                found, late,
                "at {at}, lateness {allowed}, watermark {watermark}"
            );
        }
    }

    #[test]
    fn horizon_drops_nothing_that_may_still_take_records() {
        for (end, allowed, watermark) in [(10, 5, 13), (10, 5, 14), (MAX, 5, MAX - 1), (10, MAX, 7)]
        {
            let lateness = Lateness::of(Duration::from_nanos(allowed as u64));
            let w = window(end - 10, end);
            let over = w.max_timestamp() <= lateness.horizon(Timestamp(watermark));
            assert!(!over || lateness.is_window_late(w, Timestamp(watermark)));
        }
        assert_eq!(Lateness(5).horizon(Timestamp::MAX), Timestamp::MAX);
    }
}
