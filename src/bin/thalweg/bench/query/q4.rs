//! The mean price that auctions of each category were sold at.

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

/// After every auction that was sold: its category and the mean price there so far.
///
/// As published, where a new mean replaces the one before; here each is a row. Adapted: an auction
/// counts when it is over and not, with a preliminary price, before.
pub(super) fn q4(draft: &Draft<'_>) {
    winning_bids(draft)
        .key_by(|sale| sale.auction.category)
        .process(MeanPrice::<AllPrices>::new())
        .sink("rows", draft.rows());
}
