//! Bids with the directories of the URL.

use crate::bench::draft::Draft;

use super::text::text_hash;

/// Every bid: auction, bidder, price, channel, and the first three directories of the URL's path. In rows, strings
/// are represented by their XXH3, and a missing directory by zero.
pub(super) fn q22(draft: &Draft<'_>) {
    draft
        .text_bids()
        .map(|bid| {
            let mut directories = bid.url.split('/').skip(3);
            let mut directory = || directories.next().map_or(0, text_hash);
            [
                bid.auction,
                bid.bidder,
                bid.price,
                text_hash(&bid.channel),
                directory(),
                directory(),
                directory(),
            ]
        })
        .sink("rows", draft.rows());
}
