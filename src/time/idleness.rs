//! The idleness detector: no record for longer than a timeout, not counting backpressure.
//!
//! Flink's `WatermarksWithIdleness.IdlenessTimer` as a pure value: the caller supplies the time. The
//! span is counted from the first check that finds no new record, not from the last record, so one
//! slow batch is never mistaken for idleness.

use std::time::Duration;

use super::{Timestamp, nanos};

/// Detects whether a subtask or split has been idle for longer than its timeout.
#[derive(Clone, Debug)]
pub struct Idleness {
    timeout: i64,
    records_seen: u64,
    quiet_since: Option<Timestamp>,
}

impl Idleness {
    /// Creates a detector of spans longer than `timeout`.
    ///
    /// # Panics
    /// If `timeout` is zero.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        assert!(!timeout.is_zero(), "the idle timeout is above zero");
        Idleness {
            timeout: nanos(timeout),
            records_seen: 0,
            quiet_since: None,
        }
    }

    /// Since the last check, the subtask spent `span` waiting for room downstream. It could not have
    /// seen a record in that time, so it does not count. Call this before [`check`](Self::check).
    pub fn on_back_pressure(&mut self, span: Duration) {
        if let Some(since) = &mut self.quiet_since {
            *since = since.saturating_add(nanos(span));
        }
    }

    /// Whether it is idle at `now`, with `records_seen` records seen since the start. Call it
    /// at the end of every batch, even an empty one.
    pub fn check(&mut self, now: Timestamp, records_seen: u64) -> bool {
        if records_seen != self.records_seen {
            self.records_seen = records_seen;
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(now);
        now.0.saturating_sub(since.0) > self.timeout
    }

    /// When a check will report idleness if no record comes before; `None` if the last check saw one,
    /// so that the span has not started yet.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let since = self.quiet_since?;
        Some(since.saturating_add(self.timeout).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::nanoseconds;

    #[test]
    fn idleness_begins_strictly_after_the_timeout_from_the_first_quiet_check() {
        let mut idleness = Idleness::new(nanoseconds(10));
        let checks = [
            (100, 1, false), // a record
            (150, 1, false), // the first quiet check starts the span
            (160, 1, false), // exactly the timeout
            (161, 1, true),
            (162, 1, true),
            (163, 2, false), // a record cancels
            (175, 2, false),
            (186, 2, true),
        ];
        for (now, records_seen, idle) in checks {
            let found = idleness.check(Timestamp(now), records_seen);
            assert_eq!(found, idle, "at {now}");
            let due = idleness.deadline().is_some_and(|at| at <= Timestamp(now));
            assert_eq!(due, idle, "the deadline is when it becomes idle");
        }
    }

    #[test]
    fn subtask_that_never_saw_a_record_becomes_idle() {
        let mut idleness = Idleness::new(nanoseconds(10));
        assert!(!idleness.check(Timestamp(0), 0));
        assert!(idleness.check(Timestamp(11), 0));
    }

    #[test]
    fn time_under_back_pressure_is_not_counted() {
        let mut idleness = Idleness::new(nanoseconds(10));
        idleness.on_back_pressure(nanoseconds(500));
        assert!(!idleness.check(Timestamp(0), 0));
        idleness.on_back_pressure(nanoseconds(90));
        assert!(!idleness.check(Timestamp(100), 0), "10 of 100 count");
        assert!(idleness.check(Timestamp(101), 0));
    }

    #[test]
    fn clock_set_back_is_not_idleness() {
        let mut idleness = Idleness::new(nanoseconds(10));
        assert!(!idleness.check(Timestamp(1_000), 0));
        assert!(!idleness.check(Timestamp::MIN, 0));
        assert!(idleness.check(Timestamp(1_011), 0));
    }
}
