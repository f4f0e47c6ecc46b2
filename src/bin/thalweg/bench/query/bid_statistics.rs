//! What queries 15, 16 and 17 count of bids, by day.

use std::collections::HashMap;
use std::time::Duration;

use thalweg::record::{Archived, Record};
use thalweg::time::{Timestamp, hours};

/// The length of their windows.
pub(super) const DAY: Duration = hours(24);

/// Price ranks: low, middle, high.
pub(super) const RANKS: usize = 3;

/// The day of `at`, since the epoch.
pub(super) fn day(at: Timestamp) -> u64 {
    (at.as_millis() / 86_400_000) as u64
}

/// The rank of a price: below 100 dollars, below 10,000, or above.
#[inline(always)]
pub(super) fn price_rank(price: u64) -> usize {
    usize::from(price >= 10_000) + usize::from(price >= 1_000_000)
}

/// Bids by price rank, and different bidders and auctions by price rank.
#[derive(Clone, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct DistinctCounts {
    bids: [u64; RANKS],
    /// The ranks in which each has bid: a bit for each rank.
    bidders: HashMap<u64, u8>,
    /// The ranks in which there was a bid on each.
    auctions: HashMap<u64, u8>,
}

impl Record for DistinctCounts {
    type Form = Archived;
}

impl DistinctCounts {
    /// Counts one bid.
    #[inline]
    pub(super) fn add(&mut self, auction: u64, bidder: u64, price: u64) {
        let rank = price_rank(price);
        self.bids[rank] += 1;
        *self.bidders.entry(bidder).or_default() |= 1 << rank;
        *self.auctions.entry(auction).or_default() |= 1 << rank;
    }

    /// Counts what another one has counted.
    pub(super) fn merge(&mut self, other: &Self) {
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

    /// Bids, bidders and auctions: of each all, and by price rank.
    pub(super) fn columns(&self) -> [u64; 12] {
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
