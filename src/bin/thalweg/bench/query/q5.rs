//! The auction with the most bids of the last ten seconds, every two seconds.

use thalweg::operator::{Sliding, Tumbling};
use thalweg::state::{Count, Max};
use thalweg::time::secs;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

/// The auction with the most bids of every window; of equals the smallest.
pub(super) fn q5(draft: &Draft<'_>) {
    // The greatest complement is that of the smallest number.
    let most = Max::of(|&(auction, count): &(u64, u64)| (count, !auction));
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .key_by(|bid| bid.auction)
        .window(Sliding::of(secs(10), secs(2)))
        .aggregate_with(Count, |auction, _window, count| (*auction, count))
        .window_all(Tumbling::of(secs(2)))
        .aggregate_with(most, |window, most| {
            let (count, auction) = most.expect("a window has records");
            [window.end.as_millis() as u64, !auction, count]
        })
        .sink("rows", draft.rows());
}
