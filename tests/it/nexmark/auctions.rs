//! Queries that join bids and auctions.

use std::collections::BTreeMap;

use super::tally::Tally;
use super::{Auction, Bid, Inputs};

/// Every auction that had a bid, with the winning bid, found by looking at all bids for each auction.
fn winners(inputs: &Inputs) -> Vec<(Auction, Bid)> {
    let mut winners = Vec::new();
    for auction in &inputs.auctions {
        let [id, .., begin, end] = *auction;
        let counts = |[auction, _, _, at]: &&Bid| *auction == id && begin <= *at && *at <= end;
        let mut bids: Vec<_> = inputs.bids.iter().filter(counts).collect();
        bids.sort_by_key(|[_, bidder, price, at]| (u64::MAX - price, *at, *bidder));
        winners.extend(bids.first().map(|bid| (*auction, **bid)));
    }
    winners
}

fn q9(winners: &[(Auction, Bid)]) -> Tally {
    Tally::of(winners.iter().map(|(auction, bid)| {
        let [id, seller, category, initial_bid, begin, end] = *auction;
        let [_, bidder, price, at] = *bid;
        [
            id,
            seller,
            category,
            initial_bid,
            begin,
            end,
            bidder,
            price,
            at,
        ]
    }))
}

/// After each sale, in order of end and id: the key and the mean price of its last `of` sales.
fn running_mean(winners: &[(Auction, Bid)], key: impl Fn(&Auction) -> u64, of: usize) -> Tally {
    let mut sales: Vec<_> = winners.to_vec();
    sales.sort_by_key(|([id, .., end], _)| (*end, *id));
    let mut prices: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    Tally::of(sales.iter().map(|(auction, [_, _, price, _])| {
        let prices = prices.entry(key(auction)).or_default();
        prices.push(*price);
        let last = &prices[prices.len().saturating_sub(of)..];
        [key(auction), last.iter().sum::<u64>() / last.len() as u64]
    }))
}

fn q20(inputs: &Inputs) -> Tally {
    let auctions: BTreeMap<u64, &Auction> = inputs
        .auctions
        .iter()
        .map(|auction| (auction[0], auction))
        .collect();
    let mut rows = Vec::new();
    for [auction, bidder, price, at] in &inputs.bids {
        if let Some([id, seller, 10, initial_bid, begin, end]) = auctions.get(auction) {
            rows.push([
                *id,
                *bidder,
                *price,
                *at,
                *initial_bid,
                *begin,
                *end,
                *seller,
                10,
            ]);
        }
    }
    Tally::of(rows)
}

#[test]
fn auctions_are_won_averaged_and_expanded_as_the_oracles_say() {
    for jitter_ms in [0, 3000] {
        let inputs = Inputs::generate(20_000, 100, jitter_ms);
        let winners = winners(&inputs);
        let records = inputs.bids.len() + inputs.auctions.len();
        let by_category = running_mean(&winners, |auction| auction[2], usize::MAX);
        let by_seller = running_mean(&winners, |auction| auction[1], 10);
        inputs.assert_rows(&[
            ("q9", records, q9(&winners)),
            ("q4", records, by_category),
            ("q6", records, by_seller),
            ("q20", records, q20(&inputs)),
        ]);
    }
}
