//! Batches: how many records a subtask takes in one turn.
//!
//! A turn costs about half a microsecond in addition to its records. So a chain that needs a nanosecond per record
//! wants long batches; one that needs a microsecond wants short ones, or its neighbours on the worker have to
//! wait. Hence the default adapts the batch to how long full turns take.

use std::time::Duration;

/// How many records a subtask takes in one turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchSize {
    /// As many as take about 50 µs, from 64 to 65,536.
    Adaptive,
    /// This many: for runs that must be reproducible.
    Fixed(u32),
}

const START: u32 = 1024;
const RECORDS_MIN: u32 = 64;
const RECORDS_MAX: u32 = 65_536;
/// A full turn shorter than this lengthens the batch; one longer than four times this shortens it.
const TURN_NANOS: u64 = Duration::from_micros(25).as_nanos() as u64;

/// The current batch size of one subtask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    records: u32,
    adaptive: bool,
}

impl Batch {
    pub(super) fn new(size: BatchSize) -> Self {
        match size {
            BatchSize::Adaptive => Batch {
                records: START,
                adaptive: true,
            },
            BatchSize::Fixed(records) => Batch {
                records: records.max(1),
                adaptive: false,
            },
        }
    }

    /// How many records the next turn may take.
    pub(super) fn records(self) -> u32 {
        self.records
    }

    /// Adapts to a turn that used up its batch and took `nanos`.
    pub(super) fn fit(&mut self, nanos: u64) {
        if !self.adaptive {
            return;
        }
        if nanos < TURN_NANOS {
            self.records = (self.records * 2).min(RECORDS_MAX);
        } else if nanos > 4 * TURN_NANOS {
            self.records = (self.records / 2).max(RECORDS_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adaptive_batch_grows_for_quick_chains_and_shrinks_for_slow_ones() {
        let mut batch = Batch::new(BatchSize::Adaptive);
        (0..20).for_each(|_| batch.fit(TURN_NANOS / 2));
        assert_eq!(batch.records(), RECORDS_MAX);
        batch.fit(2 * TURN_NANOS);
        assert_eq!(batch.records(), RECORDS_MAX);
        (0..20).for_each(|_| batch.fit(10 * TURN_NANOS));
        assert_eq!(batch.records(), RECORDS_MIN);
    }

    #[test]
    fn a_fixed_batch_stays_as_it_is() {
        let mut batch = Batch::new(BatchSize::Fixed(7));
        batch.fit(1);
        batch.fit(u64::MAX);
        assert_eq!(batch.records(), 7);
    }
}
