//! Queries 0 to 2 over bids with all their strings, read in place from their archives.
//!
//! The source is followed by an exchange: each bid is encoded once, and downstream operators read the bytes, in a
//! ring or, where nothing is redistributed, where they were encoded. In rows, strings are represented by their XXH3.

use thalweg::datastream::Stream;
use thalweg::record::View;
use thalweg::runtime::Pipe;
use xxhash_rust::xxh3::xxh3_64;

use crate::bench::checksum::Row;
use crate::bench::draft::Draft;
use crate::nexmark::TextBid;

/// The representation of a string in a row.
#[inline]
pub(super) fn text_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

impl Row for View<TextBid> {
    #[inline]
    fn hash(&self) -> u64 {
        [
            self.auction.to_native(),
            self.bidder.to_native(),
            self.price.to_native(),
            text_hash(&self.channel),
            text_hash(&self.url),
            self.date_time_ms.to_native() as u64,
            text_hash(&self.extra),
        ]
        .hash()
    }
}

/// Bids after an exchange.
fn archives(draft: &Draft<'_>) -> Stream<impl Pipe<Out = View<TextBid>> + use<>> {
    draft.text_bids().rebalance()
}

/// Every bid: auction, bidder, price, channel, URL, time, extra text.
pub(super) fn q0(draft: &Draft<'_>) {
    archives(draft).sink("rows", draft.rows());
}

/// Every bid, its price in euros instead of dollars: auction, bidder, price, time, extra text.
pub(super) fn q1(draft: &Draft<'_>) {
    archives(draft)
        .map(|bid| {
            [
                bid.auction.to_native(),
                bid.bidder.to_native(),
                (bid.price.to_native() as f64 * 0.908) as u64,
                bid.date_time_ms.to_native() as u64,
                text_hash(&bid.extra),
            ]
        })
        .sink("rows", draft.rows());
}

/// Auction and price of the bids on every 123rd auction.
pub(super) fn q2(draft: &Draft<'_>) {
    archives(draft)
        .filter(|bid| bid.auction.to_native().is_multiple_of(123))
        .map(|bid| [bid.auction.to_native(), bid.price.to_native()])
        .sink("rows", draft.rows());
}
