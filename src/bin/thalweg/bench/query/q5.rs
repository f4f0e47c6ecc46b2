//! The auction with the most bids of the last ten seconds, every two seconds.

use thalweg::datastream::Stream;
use thalweg::operator::{Sliding, Tumbling};
use thalweg::runtime::Pipe;
use thalweg::state::{Count, Max};
use thalweg::time::secs;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

/// The auction with the most bids of every window; of equals the smallest.
///
/// Half of all bids are on a few hot auctions, so where they would cross to another subtask they are counted
/// first.
pub(super) fn q5(draft: &Draft<'_>) {
    let windows = draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .key_by(|bid| bid.auction)
        .window(Sliding::of(secs(10), secs(2)));
    if draft.is_parallel() {
        let windows = windows.two_phase();
        let counts = windows.aggregate_with(Count, |auction, _window, count| (*auction, count));
        top(counts, draft);
    } else {
        let counts = windows.aggregate_with(Count, |auction, _window, count| (*auction, count));
        top(counts, draft);
    }
}

/// The auction with the highest of every window's counts.
fn top(counts: Stream<impl Pipe<Out = (u64, u64)>>, draft: &Draft<'_>) {
    // The greatest complement is that of the smallest number.
    let most = Max::of(|&(auction, count): &(u64, u64)| (count, !auction));
    counts
        .window_all(Tumbling::of(secs(2)))
        .aggregate_with(most, |window, most| {
            let (count, auction) = most.expect("a window has records");
            [window.end.as_millis() as u64, !auction, count]
        })
        .sink("rows", draft.rows());
}
