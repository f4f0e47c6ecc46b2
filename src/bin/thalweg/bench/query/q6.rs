//! The mean price of each seller's last ten sales.

use bytemuck::{Pod, Zeroable};
use thalweg::record::Record;

use crate::bench::draft::Draft;

use super::mean_price::{MeanPrice, Prices};
use super::winning_bids::winning_bids;

/// The maximum number of sales in a mean.
const SALES: usize = 10;

/// The latest prices.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
struct LastPrices {
    /// The price of sale *n* is at index *n* mod 10.
    prices: [u64; SALES],
    /// The number of all sales.
    count: u64,
}

impl Record for LastPrices {
    type Form = thalweg::record::Pod;
}

impl Prices for LastPrices {
    fn add(&mut self, price: u64) {
        self.prices[self.count as usize % SALES] = price;
        self.count += 1;
    }

    fn mean(&self) -> u64 {
        let sum: u64 = self.prices.iter().sum();
        sum / self.count.clamp(1, SALES as u64)
    }
}

/// After every auction that was sold: its seller, and the mean price of their last ten sales.
///
/// Follows Apache Beam, which takes the last ten; the published SQL takes eleven (`10 PRECEDING` and the current
/// one).
pub(super) fn q6(draft: &Draft<'_>) {
    winning_bids(draft)
        .key_by(|sale| sale.auction.seller)
        .process(MeanPrice::<LastPrices>::new())
        .sink("rows", draft.rows());
}
