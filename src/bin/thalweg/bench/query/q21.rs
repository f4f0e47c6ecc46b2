//! Bids with the number of their channel, from its name or from the URL.

use crate::bench::draft::Draft;
use crate::nexmark::TextBid;

use super::text::text_hash;

/// The number of the bid's channel, if its name or the URL determines it.
fn channel_id(bid: &TextBid) -> Option<&str> {
    let known = [
        ("apple", "0"),
        ("google", "1"),
        ("facebook", "2"),
        ("baidu", "3"),
    ];
    let is_known = |(name, _): &&(&str, _)| bid.channel.eq_ignore_ascii_case(name);
    if let Some((_, id)) = known.iter().find(is_known) {
        return Some(id);
    }
    let parameters = bid.url.split('&');
    parameters
        .skip(1)
        .find_map(|parameter| parameter.strip_prefix("channel_id="))
}

/// The bids whose channel has a number: auction, bidder, price, channel, number. In rows, strings are represented by
/// their XXH3, including the number, which is a string.
pub(super) fn q21(draft: &Draft<'_>) {
    draft
        .text_bids()
        .flat_map(|bid| {
            channel_id(bid).map(|id| {
                [
                    bid.auction,
                    bid.bidder,
                    bid.price,
                    text_hash(&bid.channel),
                    text_hash(id),
                ]
            })
        })
        .sink("rows", draft.rows());
}
