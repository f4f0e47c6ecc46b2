//! The auction with the most bids of the last ten seconds, every two seconds.

use bytemuck::{Pod, Zeroable};
use thalweg::operator::{Sliding, Tumbling};
use thalweg::record::Record;
use thalweg::state::Count;
use thalweg::time::secs;

use crate::bench::checksum::Row;
use crate::bench::draft::Draft;
use crate::bench::input::Bid;

use super::best::{BestOfWindow, Candidate};

/// How many bids an auction had in a window.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct BidCount {
    window_end_ms: u64,
    auction: u64,
    count: u64,
}

impl Record for BidCount {
    type Form = thalweg::record::Pod;
}

impl Candidate for BidCount {
    #[inline(always)]
    fn window_end_ms(&self) -> u64 {
        self.window_end_ms
    }

    #[inline(always)]
    fn beats(&self, other: &Self) -> bool {
        self.count > other.count || self.count == other.count && self.auction < other.auction
    }
}

impl Row for BidCount {
    fn hash(&self) -> u64 {
        [self.window_end_ms, self.auction, self.count].hash()
    }
}

/// The auction with the most bids of every window; of equals the smallest.
pub(super) fn q5(draft: &Draft<'_>) {
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .key_by(|bid| bid.auction)
        .window(Sliding::of(secs(10), secs(2)))
        .aggregate_with(Count, |auction, window, count| BidCount {
            window_end_ms: window.end.as_millis() as u64,
            auction: *auction,
            count,
        })
        .process(BestOfWindow::new())
        .key_by(|bids| bids.window_end_ms)
        .window(Tumbling::of(secs(2)))
        .reduce(Candidate::best)
        .sink("rows", draft.rows());
}
