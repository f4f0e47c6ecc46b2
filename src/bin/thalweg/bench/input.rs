//! The records of the input files: consecutive little-endian numbers.

use bytemuck::{Pod, Zeroable};
use thalweg::record::Record;

use super::checksum::Row;

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
