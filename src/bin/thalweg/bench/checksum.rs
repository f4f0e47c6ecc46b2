//! The sink of every query: hashes each row.
//!
//! The checksum is the sum of the rows' hashes modulo 2^64, so it does not depend on their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thalweg::operator::{Outcome, Sink, SinkWriter};
use thalweg::runtime::JobResult;
use thalweg::time::Timestamp;

use crate::nexmark::mix64;

use super::stopwatch::Stopwatch;

/// The factors by which the fields of a row are multiplied, in order.
const FACTORS: [u64; 4] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
];

/// A row of results.
pub(super) trait Row: 'static {
    /// The hash of its fields.
    fn hash(&self) -> u64;
}

/// The hash of at most as many numbers as there are factors.
#[inline(always)]
fn hash_of(fields: impl Iterator<Item = u64>) -> u64 {
    let terms = fields.zip(&FACTORS);
    mix64(terms.fold(0, |sum, (field, factor)| {
        sum.wrapping_add(field.wrapping_mul(*factor))
    }))
}

/// A row of numbers. If there are more than four, the hash of the first four is hashed with the next three, and so
/// on.
impl<const N: usize> Row for [u64; N] {
    #[inline(always)]
    fn hash(&self) -> u64 {
        let (front, rest) = self.split_at(N.min(FACTORS.len()));
        let hash = hash_of(front.iter().copied());
        rest.chunks(FACTORS.len() - 1).fold(hash, |hash, more| {
            hash_of([hash].into_iter().chain(more.iter().copied()))
        })
    }
}

/// The combined result of a run's rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Total {
    /// The number of rows.
    pub(super) rows: u64,
    /// The sum of their hashes.
    pub(super) checksum: u64,
}

/// The name of the sinks of rows.
const SINK: &str = "rows";

/// A sink that adds up the hashes of all rows; clones add to the same sum. How many rows there are is counted by the
/// operator that writes to it.
#[derive(Clone, Debug)]
pub(super) struct Checksum {
    sum: Arc<AtomicU64>,
    stopwatch: Stopwatch,
}

impl Checksum {
    /// A checksum of no rows; `stopwatch` stops when a subtask has reached the end of input.
    pub(super) fn new(stopwatch: &Stopwatch) -> Self {
        Checksum {
            sum: Arc::default(),
            stopwatch: stopwatch.clone(),
        }
    }

    /// The total of a job that has ended, all of whose rows went to sinks called `rows`.
    pub(super) fn total(&self, ended: &JobResult) -> Total {
        let written = ended.metrics.iter();
        let written = written.filter(|of| &*of.operator == SINK && of.name == "records_out");
        Total {
            rows: written.map(|of| of.value.unsigned_abs()).sum(),
            checksum: self.sum.load(Ordering::Relaxed),
        }
    }
}

impl<R: Row + ?Sized> Sink<R> for Checksum {
    type Writer = ChecksumWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> ChecksumWriter {
        ChecksumWriter {
            checksum: self.clone(),
            own: 0,
        }
    }
}

/// Hashes the rows of one subtask.
#[derive(Debug)]
pub(super) struct ChecksumWriter {
    checksum: Checksum,
    own: u64,
}

impl<R: Row + ?Sized> SinkWriter<R> for ChecksumWriter {
    #[inline(always)]
    fn write(&mut self, row: &R, _at: Timestamp) -> Outcome {
        self.own = self.own.wrapping_add(row.hash());
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        self.checksum.sum.fetch_add(self.own, Ordering::Relaxed);
        self.checksum.stopwatch.stop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thalweg::connectors::Generator;
    use thalweg::datastream::Environment;

    use super::*;

    #[test]
    fn hashes_are_those_of_splitmix64() {
        // The first numbers of SplitMix64 from the seeds 0 and 1.
        assert_eq!(mix64(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(mix64(1), 0x910A_2DEC_8902_5CC1);
        assert_eq!([0; 3].hash(), mix64(0));
        assert_eq!([0, 1].hash(), mix64(FACTORS[1]));
        let front = [1, 2, 3, 4].hash();
        assert_eq!([1, 2, 3, 4, 5].hash(), [front, 5].hash());
        assert_eq!([1, 2, 3, 4, 5, 6, 7].hash(), [front, 5, 6, 7].hash());
        let front = [front, 5, 6, 7].hash();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].hash(), [front, 8].hash());
    }

    #[test]
    fn the_total_is_that_of_all_subtasks_whatever_their_order() {
        const ROWS: [[u64; 2]; 3] = [[1, 2], [3, 4], [5, 6]];
        let total = |shares: [&'static [[u64; 2]]; 2]| {
            let checksum = Checksum::new(&Stopwatch::default());
            let env = Environment::new();
            for share in shares {
                let rows = Generator::new(move |number: u64| share[number as usize]);
                let rows = env.source("numbers", rows.count(share.len() as u64));
                rows.sink(SINK, checksum.clone());
            }
            checksum.total(&env.execute("total").expect("nothing can fail"))
        };
        assert_eq!(total([&ROWS, &[]]), total([&ROWS[2..], &ROWS[..2]]));
        assert_eq!(total([&ROWS, &[]]).rows, 3);
    }
}
