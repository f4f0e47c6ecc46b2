//! The number of bids, bidders and auctions per day, by price rank.

use thalweg::operator::Tumbling;
use thalweg::state::Aggregate;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

use super::day::{DAY, RANKS, day, price_rank};

/// Bids, bidders and auctions: for each the total, and the number by price rank.
type Columns = [u64; 12];

/// Counts bids by price rank.
#[derive(Clone, Copy, Debug)]
struct CountByRank;

impl Aggregate<Bid> for CountByRank {
    type Accumulator = [u64; RANKS];
    type Out = [u64; RANKS];

    fn create(&self) -> [u64; RANKS] {
        [0; RANKS]
    }

    #[inline(always)]
    fn add(&self, counts: &mut [u64; RANKS], bid: &Bid) {
        counts[price_rank(bid.price)] += 1;
    }

    #[inline(always)]
    fn merge(&self, counts: &mut [u64; RANKS], other: &[u64; RANKS]) {
        for (count, more) in counts.iter_mut().zip(other) {
            *count += more;
        }
    }

    fn result(&self, counts: &[u64; RANKS]) -> [u64; RANKS] {
        *counts
    }
}

/// Adds up columns.
#[derive(Clone, Copy, Debug)]
struct SumColumns;

impl Aggregate<Columns> for SumColumns {
    type Accumulator = Columns;
    type Out = Columns;

    fn create(&self) -> Columns {
        [0; 12]
    }

    #[inline]
    fn add(&self, sums: &mut Columns, columns: &Columns) {
        for (sum, number) in sums.iter_mut().zip(columns) {
            *sum += number;
        }
    }

    fn merge(&self, sums: &mut Columns, other: &Columns) {
        self.add(sums, other);
    }

    fn result(&self, sums: &Columns) -> Columns {
        *sums
    }
}

/// Puts three numbers and their sum into `columns`.
fn put(columns: &mut [u64], numbers: [u64; RANKS]) {
    columns[0] = numbers.iter().sum();
    columns[1..=RANKS].copy_from_slice(&numbers);
}

/// A bidder's contribution to the columns: one in total, and one in each rank that it has bid in.
fn of_bidder(bids: [u64; RANKS]) -> Columns {
    let mut columns = [0; 12];
    put(&mut columns[4..8], bids.map(|count| count.min(1)));
    columns[4] = 1;
    columns
}

/// An auction's contribution: its bids, and itself in the same way as a bidder.
fn of_auction(bids: [u64; RANKS]) -> Columns {
    let mut columns = [0; 12];
    put(&mut columns[..4], bids);
    put(&mut columns[8..], bids.map(|count| count.min(1)));
    columns[8] = 1;
    columns
}

/// For every day: the day, then bids, bidders and auctions, each in total and by price rank.
///
/// Distinct bidders and auctions are counted in their own subtasks, and the counts are added up. Adapted: a day's row
/// is emitted once, when the day is over, instead of being replaced after every bid; the day is a number of days
/// since the epoch.
pub(super) fn q15(draft: &Draft<'_>) {
    let bids = draft.bids().timestamps(draft.watermarks(), Bid::at);
    let [by_bidder, by_auction] = bids.fork();
    let bidders = by_bidder
        .key_by(|bid| bid.bidder)
        .window(Tumbling::of(DAY))
        .aggregate_with(CountByRank, |_bidder, _window, bids| of_bidder(bids));
    let auctions = by_auction
        .key_by(|bid| bid.auction)
        .window(Tumbling::of(DAY))
        .aggregate_with(CountByRank, |_auction, _window, bids| of_auction(bids));
    bidders
        .union(auctions)
        .window_all(Tumbling::of(DAY))
        .aggregate_with(SumColumns, |window, columns| {
            let mut row = [day(window.start); 13];
            row[1..].copy_from_slice(&columns);
            row
        })
        .sink("rows", draft.rows());
}
