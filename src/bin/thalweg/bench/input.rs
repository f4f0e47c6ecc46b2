//! The records of the input files: little-endian numbers, one record after the other.

use bytemuck::{Pod, Zeroable};
use thalweg::record::Record;
use thalweg::time::Timestamp;

use super::checksum::Row;

/// A bid on an auction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Bid {
    pub(super) auction: u64,
    pub(super) bidder: u64,
    pub(super) price: u64,
    pub(super) date_time_ms: i64,
}

/// A person who sells or bids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Person {
    pub(super) id: u64,
    pub(super) state_id: u64,
    pub(super) city_id: u64,
    pub(super) date_time_ms: i64,
}

/// Something that is sold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Auction {
    pub(super) id: u64,
    pub(super) seller: u64,
    pub(super) category: u64,
    pub(super) initial_bid: u64,
    pub(super) date_time_ms: i64,
    pub(super) expires_ms: i64,
}

/// A number to be added to the sum of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct KeyValue {
    pub(super) key: u64,
    pub(super) value: u64,
}

macro_rules! pod_record {
    ($($type:ty)*) => { $(impl Record for $type { type Form = thalweg::record::Pod; })* };
}

pod_record!(Bid Person Auction KeyValue);

macro_rules! timestamp {
    ($($type:ty)*) => { $(
        impl $type {
            /// When it happened.
            #[inline(always)]
            pub(super) fn at(&self) -> Timestamp {
                Timestamp::from_millis(self.date_time_ms)
            }
        }
    )* };
}

timestamp!(Bid);

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
