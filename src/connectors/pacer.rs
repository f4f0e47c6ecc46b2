//! A schedule for emitting records at a rate.

use std::num::NonZeroU64;

use crate::time::Timestamp;

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// An open-loop schedule: record `i` is due `i / rate` seconds after the start.
///
/// Open loop means that a record does not wait for its predecessor: if the job is slow, overdue records are emitted
/// as soon as there is room, and the schedule does not shift. A latency measured from the due time therefore includes
/// queueing (no coordinated omission).
///
/// The schedule starts at the first call of [`Pacer::due`], in processing time.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    records_per_second: NonZeroU64,
    /// When record 0 is due; `None` until the schedule starts.
    start: Option<Timestamp>,
}

impl Pacer {
    /// A schedule of `records_per_second`, in total over all subtasks.
    ///
    /// # Panics
    /// If the rate is zero.
    #[must_use]
    pub fn per_second(records_per_second: u64) -> Self {
        let records_per_second = NonZeroU64::new(records_per_second);
        Pacer {
            records_per_second: records_per_second.expect("a rate is above zero"),
            start: None,
        }
    }

    /// The number of records due by `now`: all those with lower indices. The first call starts the schedule, making
    /// record `first` due at once: 0, or where a reader resumes.
    pub fn due(&mut self, first: u64, now: Timestamp) -> u64 {
        let start = match self.start {
            Some(start) => start,
            None => self.start_with(first, now),
        };
        let Ok(elapsed) = u128::try_from(i128::from(now.0) - i128::from(start.0)) else {
            return 0;
        };
        let whole = elapsed * u128::from(self.records_per_second.get()) / NANOS_PER_SEC;
        u64::try_from(whole).map_or(u64::MAX, |whole| whole.saturating_add(1))
    }

    /// When the record with index `next` is due: the earliest time at which [`Pacer::due`] includes it.
    #[must_use]
    pub fn deadline(&self, next: u64) -> Timestamp {
        let start = self.start.unwrap_or(Timestamp::MIN);
        start.saturating_add(self.nanos_until(next))
    }

    fn start_with(&mut self, first: u64, now: Timestamp) -> Timestamp {
        let start = now.saturating_sub(self.nanos_until(first));
        self.start = Some(start);
        start
    }

    /// Nanoseconds from record 0 to record `index`, rounded up.
    fn nanos_until(&self, index: u64) -> i64 {
        let rate = u128::from(self.records_per_second.get());
        let nanos = (u128::from(index) * NANOS_PER_SEC).div_ceil(rate);
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn first_record_is_due_at_once_and_the_others_at_the_rate() {
        let mut pacer = Pacer::per_second(4);
        let start = Timestamp::from_secs(100);
        assert_eq!(pacer.due(0, start), 1);
        assert_eq!(pacer.deadline(1), Timestamp::from_millis(100_250));
        assert_eq!(pacer.due(1, Timestamp::from_millis(100_249)), 1);
        assert_eq!(pacer.due(1, Timestamp::from_millis(100_250)), 2);
        assert_eq!(pacer.due(1, Timestamp::from_secs(101)), 5);
    }

    #[test]
    fn schedule_that_starts_in_the_middle_makes_up_for_nothing() {
        let mut pacer = Pacer::per_second(1000);
        assert_eq!(pacer.due(5000, Timestamp::from_secs(9)), 5001);
    }

    #[test]
    fn clock_that_was_set_back_makes_nothing_due() {
        let mut pacer = Pacer::per_second(1);
        assert_eq!(pacer.due(0, Timestamp::from_secs(10)), 1);
        assert_eq!(pacer.due(1, Timestamp::from_secs(9)), 0);
    }

    proptest! {
        #[test]
        fn deadline_is_the_first_moment_at_which_a_record_is_due(
            rate in 1..5_000_000_000_u64, index in 0..1_000_000_000_u64, start in 0..1_i64 << 60,
        ) {
            let mut pacer = Pacer::per_second(rate);
            pacer.due(0, Timestamp(start));
            let at = pacer.deadline(index);
            prop_assert!(pacer.due(index, at) > index);
            if index > 0 {
                prop_assert!(pacer.due(index, at.saturating_sub(1)) <= index);
            }
        }
    }
}
