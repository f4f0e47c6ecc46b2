//! How many bids, bidders and auctions there were in a day, by the level of the price.

use thalweg::operator::Tumbling;
use thalweg::state::Aggregate;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

use super::bid_statistics::{DAY, DistinctCounts, day};

/// Counts bids, and different bidders and auctions.
#[derive(Clone, Copy, Debug)]
struct CountDistinct;

impl Aggregate<Bid> for CountDistinct {
    type Accumulator = DistinctCounts;
    type Out = [u64; 12];

    fn create(&self) -> DistinctCounts {
        DistinctCounts::default()
    }

    #[inline(always)]
    fn add(&self, counts: &mut DistinctCounts, bid: &Bid) {
        counts.add(bid.auction, bid.bidder, bid.price);
    }

    fn merge(&self, counts: &mut DistinctCounts, other: &DistinctCounts) {
        counts.merge(other);
    }

    fn result(&self, counts: &DistinctCounts) -> [u64; 12] {
        counts.columns()
    }
}

/// For every day: the day, then bids, bidders and auctions, of each all and by price rank.
///
/// Adapted: a day's row comes when the day is over, instead of one that replaces the other after every
/// bid; the day is a number of days since the epoch.
pub(super) fn q15(draft: &Draft<'_>) {
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .key_by(|bid| day(bid.at()))
        .window(Tumbling::of(DAY))
        .aggregate_with(CountDistinct, |day, _window, columns| {
            let mut row = [*day; 13];
            row[1..].copy_from_slice(&columns);
            row
        })
        .sink("rows", draft.rows());
}
