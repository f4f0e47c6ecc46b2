//! How many bids each bidder made in each session.

use thalweg::operator::Session;
use thalweg::state::Count;
use thalweg::time::secs;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

/// For every bidder and session: bidder, number of bids, start, end. A session ends when there is no bid for ten
/// seconds.
pub(super) fn q11(draft: &Draft<'_>) {
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .key_by(|bid| bid.bidder)
        .window(Session::with_gap(secs(10)))
        .aggregate_with(Count, |bidder, session, count| {
            let begin = session.start.as_millis() as u64;
            let end = session.end.as_millis() as u64;
            [*bidder, count, begin, end]
        })
        .sink("rows", draft.rows());
}
