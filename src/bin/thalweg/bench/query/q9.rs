//! The winning bid of each auction.

use crate::bench::checksum::Row;
use crate::bench::draft::Draft;

use super::winning_bids::{WinningBid, winning_bids};

impl Row for WinningBid {
    fn hash(&self) -> u64 {
        let WinningBid { auction, bid } = self;
        [
            auction.id,
            auction.seller,
            auction.category,
            auction.initial_bid,
            auction.date_time_ms as u64,
            auction.expires_ms as u64,
            bid.bidder,
            bid.price,
            bid.date_time_ms as u64,
        ]
        .hash()
    }
}

/// Every auction that had a bid, with the winning bid: id, seller, category, initial bid, start, end, bidder, price,
/// time of the bid.
///
/// Adapted: an item has no name, description, extra text or reserve price.
pub(super) fn q9(draft: &Draft<'_>) {
    winning_bids(draft).sink("rows", draft.rows());
}
