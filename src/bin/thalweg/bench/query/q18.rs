//! The last bid of each bidder on each auction.

use thalweg::operator::Tumbling;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

use super::day::DAY;

/// For every bidder and auction, the last bid of a day; of two at the same moment, the higher one.
///
/// Adapted: a bid has no channel, URL or extra text. The published query keeps every pair forever and replaces its
/// row with the next one; here a day's last bids are emitted when the day is over.
pub(super) fn q18(draft: &Draft<'_>) {
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .key_by(|bid| (bid.bidder, bid.auction))
        .window(Tumbling::of(DAY))
        .reduce(|last, bid| {
            let place = |bid: &Bid| (bid.date_time_ms, bid.price);
            if place(bid) > place(last) {
                *bid
            } else {
                *last
            }
        })
        .sink("rows", draft.rows());
}
