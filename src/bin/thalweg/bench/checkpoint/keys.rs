//! Which key each record has, and the rows that a run must produce.

use crate::bench::checksum::{Row, Total};
use crate::nexmark::mix64;

use super::options::Change;

/// A record: a key and the amount to add to its sum.
pub(super) type Addition = [u64; 2];

/// The keys of a measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    pub(super) count: u64,
    /// The number of keys that change.
    changing: u64,
    /// The distance between changing keys.
    stride: u64,
}

impl Keys {
    pub(super) fn new(count: u64, change: Change) -> Self {
        let stride = match change {
            Change::All => 1,
            Change::OnePercent => 100,
        };
        Keys {
            count,
            changing: count / stride,
            stride,
        }
    }

    /// The key that the record with this index changes.
    #[inline(always)]
    pub(super) fn changed(&self, index: u64) -> u64 {
        mix64(index) % self.changing * self.stride
    }

    /// The expected sums and rows, if each reader emitted each of its own keys once, and then the indices `i`,
    /// `i + p`, `i + 2p` … up to but excluding its end.
    pub(super) fn expected(&self, ends: &[u64]) -> (Vec<u64>, Total) {
        let mut sums = vec![1; self.count as usize];
        let mut total = Total::default();
        let mut count = |row: [u64; 2]| {
            total.rows += 1;
            total.checksum = total.checksum.wrapping_add(row.hash());
        };
        (0..self.count).for_each(|key| count([key, 1]));
        for (first, end) in (0..).zip(ends) {
            for index in (first..*end).step_by(ends.len()) {
                let key = self.changed(index);
                let sum = &mut sums[key as usize];
                *sum += 1;
                count([key, *sum]);
            }
        }
        (sums, total)
    }
}

/// The expected rows of one more record per key.
pub(super) fn one_more_of_each(sums: &[u64]) -> Total {
    let mut total = Total::default();
    for (key, sum) in (0..).zip(sums) {
        total.rows += 1;
        total.checksum = total.checksum.wrapping_add([key, sum + 1].hash());
    }
    total
}
