//! Statistics of each auction's bids, by day.

use bytemuck::{Pod, Zeroable};
use thalweg::operator::Tumbling;
use thalweg::record::Record;
use thalweg::state::Aggregate;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

use super::day::{DAY, day, price_rank};

/// The statistics of some bids.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Statistics {
    /// The number of bids of each price rank.
    bids: [u64; 3],
    min: u64,
    max: u64,
    sum: u64,
}

impl Record for Statistics {
    type Form = thalweg::record::Pod;
}

/// Gathers [`Statistics`].
#[derive(Clone, Copy, Debug)]
struct Gather;

impl Aggregate<Bid> for Gather {
    type Accumulator = Statistics;
    type Out = Statistics;

    fn create(&self) -> Statistics {
        Statistics {
            min: u64::MAX,
            ..Statistics::zeroed()
        }
    }

    #[inline(always)]
    fn add(&self, statistics: &mut Statistics, bid: &Bid) {
        statistics.bids[price_rank(bid.price)] += 1;
        statistics.min = statistics.min.min(bid.price);
        statistics.max = statistics.max.max(bid.price);
        statistics.sum += bid.price;
    }

    fn merge(&self, statistics: &mut Statistics, other: &Statistics) {
        for (bids, more) in statistics.bids.iter_mut().zip(other.bids) {
            *bids += more;
        }
        statistics.min = statistics.min.min(other.min);
        statistics.max = statistics.max.max(other.max);
        statistics.sum += other.sum;
    }

    fn result(&self, statistics: &Statistics) -> Statistics {
        *statistics
    }
}

/// For every auction and day: auction, day, number of bids in total and in each of three price ranks, and the
/// minimum, maximum, mean and sum of the prices.
///
/// Adapted: a day's row is emitted once, when the day is over, instead of being replaced after every bid; the day is
/// a number of days since the epoch.
pub(super) fn q17(draft: &Draft<'_>) {
    draft
        .bids()
        .timestamps(draft.watermarks(), Bid::at)
        .key_by(|bid| bid.auction)
        .window(Tumbling::of(DAY))
        .aggregate_with(Gather, |auction, window, statistics| {
            let Statistics {
                bids,
                min,
                max,
                sum,
            } = statistics;
            let count: u64 = bids.iter().sum();
            let [low, middle, high] = bids;
            let day = day(window.start);
            [
                *auction,
                day,
                count,
                low,
                middle,
                high,
                min,
                max,
                sum / count,
                sum,
            ]
        })
        .sink("rows", draft.rows());
}
