//! The number of bids, bidders and auctions per day and channel, by price rank.

use std::collections::HashMap;

use thalweg::operator::Tumbling;
use thalweg::record::{Archived, Record, View};
use thalweg::state::Aggregate;
use thalweg::time::Timestamp;

use crate::bench::draft::Draft;
use crate::nexmark::TextBid;

use super::day::{DAY, RANKS, day, price_rank};
use super::text::text_hash;

/// Bids by price rank, and distinct bidders and auctions by price rank.
#[derive(Clone, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct DistinctCounts {
    bids: [u64; RANKS],
    /// The ranks in which each bidder has bid, one bit per rank.
    bidders: HashMap<u64, u8>,
    /// The ranks in which each auction has had a bid.
    auctions: HashMap<u64, u8>,
}

impl DistinctCounts {
    /// Counts one bid.
    #[inline]
    fn add(&mut self, auction: u64, bidder: u64, price: u64) {
        let rank = price_rank(price);
        self.bids[rank] += 1;
        *self.bidders.entry(bidder).or_default() |= 1 << rank;
        *self.auctions.entry(auction).or_default() |= 1 << rank;
    }

    /// Adds another one's counts.
    fn merge(&mut self, other: &Self) {
        for (bids, more) in self.bids.iter_mut().zip(other.bids) {
            *bids += more;
        }
        for (bidder, ranks) in &other.bidders {
            *self.bidders.entry(*bidder).or_default() |= ranks;
        }
        for (auction, ranks) in &other.auctions {
            *self.auctions.entry(*auction).or_default() |= ranks;
        }
    }

    /// Bids, bidders and auctions, each in total and by price rank.
    fn columns(&self) -> [u64; 12] {
        let by_rank = |ranks: &HashMap<u64, u8>| {
            let count = |rank: usize| {
                let in_rank = ranks.values().filter(|ranks| **ranks >> rank & 1 == 1);
                in_rank.count() as u64
            };
            std::array::from_fn::<_, RANKS, _>(count)
        };
        let [bids, bidders, auctions] =
            [self.bids, by_rank(&self.bidders), by_rank(&self.auctions)];
        let all = [
            bids.iter().sum(),
            self.bidders.len() as u64,
            self.auctions.len() as u64,
        ];
        let mut columns = [0; 12];
        for (kind, ranks) in [bids, bidders, auctions].into_iter().enumerate() {
            columns[kind * 4] = all[kind];
            columns[kind * 4 + 1..][..RANKS].copy_from_slice(&ranks);
        }
        columns
    }
}

/// The counts of a channel.
#[derive(Clone, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Channel {
    /// The time of the last bid.
    last_ms: i64,
    counts: DistinctCounts,
}

impl Record for Channel {
    type Form = Archived;
}

/// Counts bids, and distinct bidders and auctions.
#[derive(Clone, Copy, Debug)]
struct CountDistinct;

impl Aggregate<View<TextBid>> for CountDistinct {
    type Accumulator = Channel;
    type Out = (i64, [u64; 12]);

    fn create(&self) -> Channel {
        Channel::default()
    }

    #[inline]
    fn add(&self, channel: &mut Channel, bid: &View<TextBid>) {
        channel.last_ms = channel.last_ms.max(bid.date_time_ms.to_native());
        let (auction, bidder) = (bid.auction.to_native(), bid.bidder.to_native());
        channel.counts.add(auction, bidder, bid.price.to_native());
    }

    fn merge(&self, channel: &mut Channel, other: &Channel) {
        channel.last_ms = channel.last_ms.max(other.last_ms);
        channel.counts.merge(&other.counts);
    }

    fn result(&self, channel: &Channel) -> (i64, [u64; 12]) {
        (channel.last_ms, channel.counts.columns())
    }
}

/// For every channel and day: channel, day, the last minute with a bid, then bids, bidders and auctions, each in
/// total and by price rank. In rows, channels are represented by their XXH3.
///
/// Adapted: a day's row is emitted once, when the day is over, instead of being replaced after every bid; the day is
/// a number of days since the epoch, the minute one of the day.
pub(super) fn q16(draft: &Draft<'_>) {
    draft
        .text_bids()
        .timestamps(draft.watermarks(), |bid| {
            Timestamp::from_millis(bid.date_time_ms)
        })
        .key_by_ref(|bid| bid.channel.as_str())
        .window(Tumbling::of(DAY))
        .aggregate_with(
            CountDistinct,
            |channel: &str, window, (last_ms, columns)| {
                let minute = last_ms.rem_euclid(86_400_000) / 60_000;
                let mut row = [0; 15];
                row[..3].copy_from_slice(&[text_hash(channel), day(window.start), minute as u64]);
                row[3..].copy_from_slice(&columns);
                row
            },
        )
        .sink("rows", draft.rows());
}
