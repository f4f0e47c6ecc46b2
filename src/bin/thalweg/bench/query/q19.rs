//! The ten highest bids on each auction.

use bytemuck::{Pod, Zeroable};
use std::cmp::Reverse;
use thalweg::operator::{FlatMapFunction, Tumbling};
use thalweg::record::Record;
use thalweg::state::Aggregate;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

use super::day::DAY;

/// The number of bids per auction.
const PLACES: usize = 10;

/// The highest bids so far.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Top {
    /// In descending order; of equal bids the earliest first, then that of the smallest bidder.
    bids: [Bid; PLACES],
    /// The number of bids present.
    count: u64,
}

impl Record for Top {
    type Form = thalweg::record::Pod;
}

impl Top {
    fn bids(&self) -> &[Bid] {
        &self.bids[..self.count as usize]
    }

    #[inline]
    fn add(&mut self, bid: &Bid) {
        let place = |bid: &Bid| (Reverse(bid.price), bid.date_time_ms, bid.bidder);
        let before = self
            .bids()
            .partition_point(|other| place(other) <= place(bid));
        if before == PLACES {
            return;
        }
        self.count = (self.count + 1).min(PLACES as u64);
        self.bids[before..self.count as usize].rotate_right(1);
        self.bids[before] = *bid;
    }
}

/// Keeps the [`Top`].
#[derive(Clone, Copy, Debug)]
struct KeepTop;

impl Aggregate<Bid> for KeepTop {
    type Accumulator = Top;
    type Out = Top;

    fn create(&self) -> Top {
        Top::zeroed()
    }

    #[inline(always)]
    fn add(&self, top: &mut Top, bid: &Bid) {
        top.add(bid);
    }

    fn merge(&self, top: &mut Top, other: &Top) {
        other.bids().iter().for_each(|bid| top.add(bid));
    }

    fn result(&self, top: &Top) -> Top {
        *top
    }
}

/// Emits one row per bid, with its rank.
#[derive(Clone, Copy, Debug)]
struct Ranked;

impl FlatMapFunction<Top> for Ranked {
    type Out = [u64; 5];

    fn flat_map(&mut self, top: &Top, mut emit: impl FnMut(&[u64; 5])) {
        for (rank, bid) in (1..).zip(top.bids()) {
            let date_time_ms = bid.date_time_ms as u64;
            emit(&[bid.auction, bid.bidder, bid.price, date_time_ms, rank]);
        }
    }
}

/// For every auction, the ten highest bids of a day: auction, bidder, price, time, rank from 1.
///
/// Adapted: a bid has no channel, URL or extra text. The published query keeps every auction forever and replaces the
/// rows of a rank one after another; here a day's rows are emitted when the day is over.
pub(super) fn q19(draft: &Draft<'_>) {
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .key_by(|bid| bid.auction)
        .window(Tumbling::of(DAY))
        .aggregate_with(KeepTop, |_auction, _window, top| top)
        .flat_map_with(Ranked)
        .sink("rows", draft.rows());
}
