//! Queries of bids only: by day, and with a side table.

use std::collections::{BTreeMap, BTreeSet};

use super::tally::Tally;
use super::{Bid, Inputs, run};

const DAY_MS: u64 = 86_400_000;

/// Bids grouped by a key and the day.
fn by_day<K: Ord>(bids: &[Bid], key: impl Fn(&Bid) -> K) -> BTreeMap<(K, u64), Vec<Bid>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for bid in bids {
        groups
            .entry((key(bid), bid[3] / DAY_MS))
            .or_default()
            .push(*bid);
    }
    groups
}

/// The bids of each of three price ranks.
fn ranks(bids: &[Bid]) -> [Vec<Bid>; 3] {
    let within = |from: u64, to: u64| {
        let bids = bids
            .iter()
            .filter(|[_, _, price, _]| from <= *price && *price < to);
        bids.copied().collect()
    };
    [
        within(0, 10_000),
        within(10_000, 1_000_000),
        within(1_000_000, u64::MAX),
    ]
}

/// The number of distinct values of a field.
fn distinct(bids: &[Bid], field: usize) -> u64 {
    bids.iter()
        .map(|bid| bid[field])
        .collect::<BTreeSet<_>>()
        .len() as u64
}

fn q15(bids: &[Bid]) -> Tally {
    Tally::of(by_day(bids, |_| ()).into_iter().map(|(((), day), bids)| {
        let [low, middle, high] = ranks(&bids);
        let sets = [&bids, &low, &middle, &high];
        let mut row = [day; 13];
        for (place, bids) in sets.into_iter().enumerate() {
            row[1 + place] = bids.len() as u64;
            row[5 + place] = distinct(bids, 1);
            row[9 + place] = distinct(bids, 0);
        }
        row
    }))
}

fn q17(bids: &[Bid]) -> Tally {
    let groups = by_day(bids, |bid| bid[0]);
    Tally::of(groups.into_iter().map(|((auction, day), bids)| {
        let [low, middle, high] = ranks(&bids).map(|bids| bids.len() as u64);
        let prices = || bids.iter().map(|bid| bid[2]);
        let (min, max) = (prices().min().expect("bids"), prices().max().expect("bids"));
        let (count, sum) = (bids.len() as u64, prices().sum::<u64>());
        [
            auction,
            day,
            count,
            low,
            middle,
            high,
            min,
            max,
            sum / count,
            sum,
        ]
    }))
}

fn q18(bids: &[Bid]) -> Tally {
    let groups = by_day(bids, |bid| (bid[1], bid[0]));
    Tally::of(groups.into_values().map(|mut bids| {
        bids.sort_by_key(|[_, _, price, at]| (*at, *price));
        *bids.last().expect("bids")
    }))
}

fn q19(bids: &[Bid]) -> Tally {
    let mut rows = Vec::new();
    for (_, mut bids) in by_day(bids, |bid| bid[0]) {
        bids.sort_by_key(|[_, bidder, price, at]| (u64::MAX - price, *at, *bidder));
        for (rank, [auction, bidder, price, at]) in (1..=10).zip(bids) {
            rows.push([auction, bidder, price, at, rank]);
        }
    }
    Tally::of(rows)
}

#[test]
fn days_are_summed_up_as_the_oracles_say() {
    for jitter_ms in [0, 60_000] {
        // One event per second, for thirty hours.
        let inputs = Inputs::generate(100_000, 1, jitter_ms);
        let bids = &inputs.bids;
        assert_eq!(by_day(bids, |_| ()).len(), 2);
        inputs.assert_rows(&[
            ("q15", bids.len(), q15(bids)),
            ("q17", bids.len(), q17(bids)),
            ("q18", bids.len(), q18(bids)),
            ("q19", bids.len(), q19(bids)),
        ]);
    }
}

/// A gap of more than ten seconds ends a bidder's session.
fn q11(bids: &[Bid]) -> Tally {
    let mut times: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for [_, bidder, _, at] in bids {
        times.entry(*bidder).or_default().push(*at);
    }
    let mut rows = Vec::new();
    for (bidder, mut times) in times {
        times.sort_unstable();
        for session in times.chunk_by(|before, after| after - before <= 10_000) {
            let (first, last) = (session[0], session[session.len() - 1]);
            rows.push([bidder, session.len() as u64, first, last + 10_000]);
        }
    }
    Tally::of(rows)
}

#[test]
fn sessions_are_those_of_the_oracle() {
    for jitter_ms in [0, 3000] {
        let inputs = Inputs::generate(20_000, 100, jitter_ms);
        let bids = &inputs.bids;
        let expected = q11(bids);
        // Bidders return after a gap.
        assert!(expected.rows > 2 * distinct(bids, 1), "{expected:?}");
        inputs.assert_rows(&[("q11", bids.len(), expected)]);
    }
}

/// SplitMix64's output function, which gives the values of the side table.
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn every_bid_meets_its_value_of_the_table() {
    for jitter_ms in [0, 3000] {
        let inputs = Inputs::generate(20_000, 100, jitter_ms);
        let rows = inputs.bids.iter().map(|[auction, bidder, price, at]| {
            [*auction, *bidder, *price, *at, mix(auction % 10_000)]
        });
        let records = inputs.bids.len() + 10_000;
        inputs.assert_rows(&[("q13", records, Tally::of(rows))]);
    }
}

#[test]
fn bidders_are_counted_by_the_clock() {
    let inputs = Inputs::generate(2000, 100, 0);
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for [_, bidder, ..] in &inputs.bids {
        *counts.entry(*bidder).or_default() += 1;
    }
    let bidders = counts.len() as u64;
    let expected = Tally::of(counts.into_iter().map(|(bidder, count)| [bidder, count]));
    let options = inputs.options();
    for parallelism in 1..=3 {
        let options = options.each_ref().map(String::as_str);
        let [(read, found)] = run(parallelism, &options, &["q12"])[..] else {
            panic!("one query, one run");
        };
        assert_eq!(read, 2000);
        // In a run of more than ten seconds there would be more rows than bidders.
        assert!(found.rows >= bidders, "{found:?}");
        assert!(found.rows > bidders || found == expected, "{found:?}");
    }
}
