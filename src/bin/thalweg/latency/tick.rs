//! The records: a tick, and the count of its key that results from it.

use bytemuck::{Pod, Zeroable};
use thalweg::record::{self, Record};
use thalweg::state::Aggregate;

use crate::nexmark::mix64;

/// The number of keys.
const KEYS: u64 = 10_000;

/// A record with a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Tick {
    /// One of [`KEYS`] keys, pseudo-random.
    pub(crate) key: u64,
    /// The record's index.
    pub(crate) seq: u64,
    /// When it is due, in nanoseconds of the stopwatch.
    pub(crate) due_nanos: i64,
}

impl Record for Tick {
    type Form = record::Pod;
}

/// The job's result for a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Counted {
    /// The tick's key.
    pub(crate) key: u64,
    /// The number of ticks of this key so far, including this one.
    pub(crate) count: u64,
    /// When the tick was due.
    pub(crate) due_nanos: i64,
}

impl Record for Counted {
    type Form = record::Pod;
}

impl Tick {
    /// The tick with index `seq`.
    #[inline(always)]
    pub(crate) fn new(seq: u64, due_nanos: i64) -> Self {
        Tick {
            key: mix64(seq) % KEYS,
            seq,
            due_nanos,
        }
    }
}

/// The sum of all counts of the first `ticks` ticks: the expected result of a run.
pub(crate) fn sum_of_counts(ticks: u64) -> u64 {
    let mut counts = vec![0_u64; KEYS as usize];
    for seq in 0..ticks {
        counts[(mix64(seq) % KEYS) as usize] += 1;
    }
    let sums = counts.iter().map(|count| sum_below(count + 1));
    sums.fold(0, u64::wrapping_add)
}

/// The sum of the numbers below `end`, modulo 2^64.
pub(crate) fn sum_below(end: u64) -> u64 {
    let end = u128::from(end);
    (end * end.saturating_sub(1) / 2) as u64
}

/// Keeps the running count of a key, and the due time of the last tick counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningCount;

/// The state of a key.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct CountAndDue {
    count: u64,
    due_nanos: i64,
}

impl Record for CountAndDue {
    type Form = record::Pod;
}

impl CountAndDue {
    /// The key's count as a record.
    #[inline(always)]
    pub(crate) fn of_key(self, key: u64) -> Counted {
        Counted {
            key,
            count: self.count,
            due_nanos: self.due_nanos,
        }
    }
}

impl Aggregate<Tick> for RunningCount {
    type Accumulator = CountAndDue;
    type Out = CountAndDue;

    #[inline(always)]
    fn create(&self) -> CountAndDue {
        CountAndDue::zeroed()
    }

    #[inline(always)]
    fn add(&self, kept: &mut CountAndDue, tick: &Tick) {
        kept.count += 1;
        kept.due_nanos = tick.due_nanos;
    }

    #[inline(always)]
    fn merge(&self, kept: &mut CountAndDue, other: &CountAndDue) {
        kept.count += other.count;
        kept.due_nanos = kept.due_nanos.max(other.due_nanos);
    }

    #[inline(always)]
    fn result(&self, kept: &CountAndDue) -> CountAndDue {
        *kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn sum_of_counts_is_that_of_counting_one_by_one() {
        let mut counts: HashMap<u64, u64> = HashMap::new();
        let mut sum = 0;
        for seq in 0..30_000 {
            let count = counts.entry(Tick::new(seq, 0).key).or_default();
            *count += 1;
            sum += *count;
        }
        assert_eq!(sum_of_counts(30_000), sum);
        assert_eq!(sum_below(30_000), (0..30_000).sum::<u64>());
        assert_eq!((sum_below(0), sum_below(1)), (0, 0));
        assert!(counts.len() > 9_000, "{} keys", counts.len());
    }
}
