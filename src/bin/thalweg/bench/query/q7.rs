//! The highest bid of every ten seconds.

use bytemuck::{Pod, Zeroable};
use thalweg::operator::Tumbling;
use thalweg::record::Record;
use thalweg::time::secs;

use crate::bench::checksum::Row;
use crate::bench::draft::Draft;
use crate::bench::input::Bid;

use super::best::{BestOfWindow, Candidate};

/// The length of a window in milliseconds.
const WINDOW_MS: u64 = 10_000;

/// A bid with the window that it is in.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct WindowBid {
    window_end_ms: u64,
    price: u64,
    auction: u64,
    bidder: u64,
}

impl Record for WindowBid {
    type Form = thalweg::record::Pod;
}

impl WindowBid {
    #[inline(always)]
    fn of(bid: &Bid) -> Self {
        let date_time_ms = bid.date_time_ms as u64;
        WindowBid {
            window_end_ms: date_time_ms - date_time_ms % WINDOW_MS + WINDOW_MS,
            price: bid.price,
            auction: bid.auction,
            bidder: bid.bidder,
        }
    }
}

impl Candidate for WindowBid {
    #[inline(always)]
    fn window_end_ms(&self) -> u64 {
        self.window_end_ms
    }

    #[inline(always)]
    fn beats(&self, other: &Self) -> bool {
        let seller = |bid: &Self| (bid.auction, bid.bidder);
        self.price > other.price || self.price == other.price && seller(self) < seller(other)
    }
}

impl Row for WindowBid {
    fn hash(&self) -> u64 {
        [self.window_end_ms, self.price, self.auction, self.bidder].hash()
    }
}

/// The bid with the highest price of every window; of equals that on the smallest auction, by the
/// smallest bidder.
pub(super) fn q7(draft: &Draft<'_>) {
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .map(WindowBid::of)
        .process(BestOfWindow::new())
        .key_by(|bid| bid.window_end_ms)
        .window(Tumbling::of(secs(10)))
        .reduce(Candidate::best)
        .sink("rows", draft.rows());
}
