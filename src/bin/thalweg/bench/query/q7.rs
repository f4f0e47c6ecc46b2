//! The highest bid of every ten seconds.

use thalweg::operator::Tumbling;
use thalweg::state::Max;
use thalweg::time::secs;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

/// The bid with the highest price in every window; on a tie the one on the smallest auction, then by the smallest
/// bidder.
pub(super) fn q7(draft: &Draft<'_>) {
    // The largest complement belongs to the smallest number.
    let highest = Max::of(|bid: &Bid| (bid.price, !bid.auction, !bid.bidder));
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .window_all(Tumbling::of(secs(10)))
        .aggregate_with(highest, |window, highest| {
            let (price, auction, bidder) = highest.expect("a window has records");
            [window.end.as_millis() as u64, price, !auction, !bidder]
        })
        .sink("rows", draft.rows());
}
