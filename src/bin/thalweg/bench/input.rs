//! The records of the input files: little-endian numbers, one record after the other.

use bytemuck::{Pod, Zeroable};
use thalweg::record::Record;

use super::checksum::Row;

pub(super) use crate::nexmark::{Auction, Bid, Person};

/// A number to be added to the sum of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct KeyValue {
    pub(crate) key: u64,
    pub(crate) value: u64,
}

impl Record for KeyValue {
    type Form = thalweg::record::Pod;
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
