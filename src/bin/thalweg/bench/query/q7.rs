//! The highest bid of every ten seconds.

use thalweg::operator::Tumbling;
use thalweg::state::Max;
use thalweg::time::secs;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

/// The bid with the highest price of every window; of equals that on the smallest auction, by the
/// smallest bidder.
pub(super) fn q7(draft: &Draft<'_>) {
    // The greatest complement is that of the smallest number.
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
