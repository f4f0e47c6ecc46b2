//! The auction with the most bids in the last ten seconds, every two seconds.

use thalweg::datastream::Stream;
use thalweg::operator::{Sliding, Tumbling};
use thalweg::runtime::Pipe;
use thalweg::state::{Count, Max};
use thalweg::time::secs;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

/// The auction with the most bids in every window; on a tie the one with the smallest id.
///
/// Half of all bids are on a few hot auctions, so they are pre-aggregated before they cross to another subtask.
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

/// The auction with the highest count in every window.
fn top(counts: Stream<impl Pipe<Out = (u64, u64)>>, draft: &Draft<'_>) {
    // The largest complement belongs to the smallest number.
    let most = Max::of(|&(auction, count): &(u64, u64)| (count, !auction));
    counts
        .window_all(Tumbling::of(secs(2)))
        .aggregate_with(most, |window, most| {
            let (count, auction) = most.expect("a window has records");
            [window.end.as_millis() as u64, !auction, count]
        })
        .sink("rows", draft.rows());
}
