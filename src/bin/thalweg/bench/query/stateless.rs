//! Queries without state: filters and projections.

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

/// Every bid.
pub(super) fn q0(draft: &Draft<'_>) {
    draft.bids().sink("rows", draft.rows());
}

/// Every bid, its price in euros instead of dollars.
pub(super) fn q1(draft: &Draft<'_>) {
    draft
        .bids()
        .map(|bid| Bid {
            price: (bid.price as f64 * 0.908) as u64,
            ..*bid
        })
        .sink("rows", draft.rows());
}

/// Auction and price of the bids on every 123rd auction.
pub(super) fn q2(draft: &Draft<'_>) {
    draft
        .bids()
        .filter(|bid| bid.auction.is_multiple_of(123))
        .map(|bid| [bid.auction, bid.price])
        .sink("rows", draft.rows());
}
