//! The records of the input files: consecutive little-endian numbers.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytemuck::{AnyBitPattern, Pod, Zeroable};
use thalweg::record::Record;

use super::checksum::Row;

use crate::nexmark::Dated;
pub(super) use crate::nexmark::{Auction, Bid, Person};

/// What the names of persons and auctions that are ten times as long end in.
pub(crate) const X10_SUFFIX: &str = "_x10";

/// A key and a number to add to its sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct KeyValue {
    pub(crate) key: u64,
    pub(crate) value: u64,
}

impl Record for KeyValue {
    type Form = thalweg::record::Pod;
}

/// The times of events, in milliseconds since the epoch: those that are timestamps in nanoseconds, too, until 2262.
const TIMES: std::ops::RangeInclusive<i64> = 0..=i64::MAX / 1_000_000;

/// Whether the first and the last record of a file have possible times: any bytes of the right number are records, even
/// those of another kind. If they cannot be read, the source will say so.
pub(super) fn has_possible_times<T: AnyBitPattern + Dated>(path: &Path) -> bool {
    let size = size_of::<T>();
    let record = |file: &File, number: u64| {
        let mut bytes = vec![0; size];
        let read = file.read_exact_at(&mut bytes, number * size as u64);
        let at = || bytemuck::pod_read_unaligned::<T>(&bytes).date_time_ms();
        read.is_err() || TIMES.contains(&at())
    };
    let Ok(file) = File::open(path) else {
        return true;
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    match (length / size as u64).checked_sub(1) {
        Some(last) => record(&file, 0) && record(&file, last),
        None => true,
    }
}

impl Row for Bid {
    #[inline(always)]
    fn hash(&self) -> u64 {
        [
            self.auction,
            self.bidder,
            self.price,
            self.date_time_ms as u64,
        ]
        .hash()
    }
}
