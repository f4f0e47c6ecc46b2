//! The schedule: when each record is due, whatever happened before.

/// An open loop: record `i` is due `i / rate` seconds after the start. A record that is late because earlier ones
/// were late still counts as late: its waiting is part of its latency (no coordinated omission).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// When record 0 is due, in nanoseconds of the stopwatch.
    pub(crate) start_nanos: i64,
    /// Records per second; at least 1.
    pub(crate) rate: u64,
    /// The number of warm-up records, whose latency is not recorded.
    pub(crate) warm_up_count: u64,
    /// The total number of records.
    pub(crate) count: u64,
}

const NANOS_PER_SEC: u64 = 1_000_000_000;

impl Schedule {
    /// `rate` records per second from `start_nanos`: for `warm_up` seconds, then for `recorded` seconds, at least one
    /// record in all.
    pub(crate) fn new(start_nanos: i64, rate: u64, warm_up: f64, recorded: f64) -> Self {
        let count = |seconds: f64| (seconds * rate as f64).round() as u64;
        let warm_up_count = count(warm_up);
        Schedule {
            start_nanos,
            rate,
            warm_up_count,
            count: warm_up_count + count(recorded).max(1),
        }
    }

    /// When record `index` is due: rounded down, so that the first record after a whole second is due exactly on it.
    pub(crate) fn due_nanos(&self, index: u64) -> i64 {
        let nanos = u128::from(index) * u128::from(NANOS_PER_SEC) / u128::from(self.rate);
        self.start_nanos + nanos as i64
    }

    /// The time at which recording of latencies starts.
    pub(crate) fn recorded_from_nanos(&self) -> i64 {
        self.due_nanos(self.warm_up_count)
    }

    /// One interval after the last record is due.
    pub(crate) fn end_nanos(&self) -> i64 {
        self.due_nanos(self.count)
    }

    /// The first record, and when it is due.
    pub(crate) fn first(&self) -> Due {
        Due {
            index: 0,
            nanos: self.start_nanos,
            remainder: 0,
            rate: self.rate,
        }
    }
}

/// A record's index and due time; advances to the next without a division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// The record's index.
    pub(crate) index: u64,
    /// When it is due, in nanoseconds of the stopwatch.
    pub(crate) nanos: i64,
    /// The rounding remainder, in units of 1/`rate`.
    remainder: u64,
    rate: u64,
}

impl Due {
    /// Advances to the next record.
    #[inline(always)]
    pub(crate) fn advance(&mut self) {
        self.index += 1;
        self.nanos += (NANOS_PER_SEC / self.rate) as i64;
        self.remainder += NANOS_PER_SEC % self.rate;
        if self.remainder >= self.rate {
            self.remainder -= self.rate;
            self.nanos += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn warm_up_and_recorded_seconds_follow_one_another() {
        let schedule = Schedule::new(500, 1_000, 0.5, 2.0);
        assert_eq!((schedule.warm_up_count, schedule.count), (500, 2_500));
        assert_eq!(schedule.recorded_from_nanos(), 500_000_500);
        assert_eq!(schedule.end_nanos(), 2_500_000_500);
    }

    proptest! {
        #[test]
        fn stepping_gives_the_same_times_as_the_division(
            rate in 1..50_000_000_u64, start in 0..1_i64 << 40, count in 1..5_000_u64,
        ) {
            let schedule = Schedule { start_nanos: start, rate, warm_up_count: 0, count };
            let mut due = schedule.first();
            for index in 0..count {
                prop_assert_eq!((due.index, due.nanos), (index, schedule.due_nanos(index)));
                due.advance();
            }
        }
    }
}
