//! The mean price at which auctions of each category were sold.

use bytemuck::{Pod, Zeroable};
use thalweg::record::Record;

use crate::bench::draft::Draft;

use super::mean_price::{MeanPrice, Prices};
use super::winning_bids::winning_bids;

/// All prices so far.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
struct AllPrices {
    sum: u64,
    count: u64,
}

impl Record for AllPrices {
    type Form = thalweg::record::Pod;
}

impl Prices for AllPrices {
    fn add(&mut self, price: u64) {
        self.sum += price;
        self.count += 1;
    }

    fn mean(&self) -> u64 {
        self.sum / self.count.max(1)
    }
}

/// After every auction that was sold: its category, and the mean price in it so far.
///
/// In the published query a new mean replaces the previous one; here each is a row. Adapted: an auction counts once
/// it is over, not earlier with a preliminary price.
pub(super) fn q4(draft: &Draft<'_>) {
    winning_bids(draft)
        .key_by(|sale| sale.auction.category)
        .process(MeanPrice::<AllPrices>::new())
        .sink("rows", draft.rows());
}
