//! The records of the files: plain data of fixed size, without strings.
//!
//! A file contains them consecutively in their memory layout, little-endian, without a header: record *i* is at byte
//! *i* × size.

use bytemuck::{Pod, Zeroable};
use thalweg::record::Record;
use thalweg::time::Timestamp;

/// Files are little-endian, and are mapped without conversion.
const _: () = assert!(cfg!(target_endian = "little"));

/// A record with an event time.
pub(crate) trait Dated {
    /// When it happened: event time, in milliseconds since the epoch.
    fn date_time_ms(&self) -> i64;
}

/// A bid on an auction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Bid {
    pub(crate) auction: u64,
    pub(crate) bidder: u64,
    /// In cents.
    pub(crate) price: u64,
    pub(crate) date_time_ms: i64,
}

/// A person who sells or bids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) state_id: u64,
    pub(crate) city_id: u64,
    pub(crate) date_time_ms: i64,
}

/// An auction of one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Auction {
    pub(crate) id: u64,
    /// The person who sells it.
    pub(crate) seller: u64,
    pub(crate) category: u64,
    /// In cents.
    pub(crate) initial_bid: u64,
    pub(crate) date_time_ms: i64,
    /// The last moment at which a bid counts.
    pub(crate) expires_ms: i64,
}

macro_rules! dated_record {
    ($($type:ty)*) => { $(
        impl Record for $type {
            type Form = thalweg::record::Pod;
        }

        impl Dated for $type {
            fn date_time_ms(&self) -> i64 {
                self.date_time_ms
            }
        }
    )* };
}

dated_record!(Bid Person Auction);

macro_rules! timestamp {
    ($($type:ty)*) => { $(
        impl $type {
            /// When it happened.
            #[inline(always)]
            pub(crate) fn at(&self) -> Timestamp {
                Timestamp::from_millis(self.date_time_ms)
            }
        }
    )* };
}

timestamp!(Bid Person Auction);
