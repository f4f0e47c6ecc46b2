//! The rows that every query must produce, computed by loops over the inputs without any code of the kernel.

use std::collections::BTreeMap;

use super::data::{Data, KeyValue};

/// What a run must report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) records: u64,
    pub(super) rows: u64,
    pub(super) checksum: u64,
}

fn mix64(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn hash(row: &[u64]) -> u64 {
    const K: [u64; 4] = [
        0x9E37_79B1_85EB_CA87,
        0xC2B2_AE3D_27D4_EB4F,
        0x1656_67B1_9E37_79F9,
        0x85EB_CA77_C2B2_AE63,
    ];
    let mut sum = 0_u64;
    for (field, k) in row.iter().zip(K) {
        sum = sum.wrapping_add(field.wrapping_mul(k));
    }
    mix64(sum)
}

fn fnv1a64(word: &str) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325;
    for byte in word.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    }
    hash
}

fn answer(records: usize, rows: impl IntoIterator<Item = Vec<u64>>) -> Answer {
    let mut answer = Answer {
        records: records as u64,
        rows: 0,
        checksum: 0,
    };
    for row in rows {
        answer.rows += 1;
        answer.checksum = answer.checksum.wrapping_add(hash(&row));
    }
    answer
}

/// The answer to the query called `name`.
pub(super) fn oracle(name: &str, data: &Data) -> Answer {
    let bids = data.bids.len();
    match name {
        "q0" => answer(bids, data.bids.iter().map(|bid| bid.to_vec())),
        "q1" => answer(
            bids,
            data.bids.iter().map(|&[auction, bidder, price, at]| {
                vec![auction, bidder, (price as f64 * 0.908) as u64, at]
            }),
        ),
        "q2" => {
            let wanted = data.bids.iter().filter(|bid| bid[0] % 123 == 0);
            answer(bids, wanted.map(|bid| vec![bid[0], bid[2]]))
        }
        "q3" => q3(data),
        "q5" => q5(data),
        "q7" => q7(data),
        "q8" => q8(data),
        "keysum-1k" => keysum(&data.keys[0].1),
        "keysum-1m" => keysum(&data.keys[1].1),
        "keysum-10m" => keysum(&data.keys[2].1),
        "keysum-zipf" => keysum(&data.keys[3].1),
        "wordcount" => wordcount(data),
        other => panic!("no oracle for `{other}`"),
    }
}

fn q3(data: &Data) -> Answer {
    let mut rows = Vec::new();
    for person in data
        .persons
        .iter()
        .filter(|person| matches!(person[1], 4 | 12 | 37))
    {
        for auction in data.auctions.iter().filter(|auction| auction[2] == 10) {
            if auction[1] == person[0] {
                rows.push(vec![person[0], person[1], person[2], auction[0]]);
            }
        }
    }
    answer(data.persons.len() + data.auctions.len(), rows)
}

fn q5(data: &Data) -> Answer {
    let mut counts: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
    for &[auction, _, _, at] in &data.bids {
        for end in (0..5).map(|n| at - at % 2000 + 2000 + n * 2000) {
            *counts.entry(end).or_default().entry(auction).or_default() += 1;
        }
    }
    let rows = counts.iter().map(|(end, counts)| {
        let most = *counts.values().max().expect("a window has bids");
        let first = counts.iter().find(|(_, count)| **count == most);
        vec![*end, *first.expect("one has the most").0, most]
    });
    answer(data.bids.len(), rows)
}

fn q7(data: &Data) -> Answer {
    let mut windows: BTreeMap<u64, Vec<(u64, u64, u64)>> = BTreeMap::new();
    for &[auction, bidder, price, at] in &data.bids {
        let window = windows.entry(at - at % 10_000 + 10_000).or_default();
        // In ascending order, the best bid comes first.
        window.push((u64::MAX - price, auction, bidder));
    }
    let rows = windows.iter().map(|(end, bids)| {
        let (price, auction, bidder) = *bids.iter().min().expect("a window has bids");
        vec![*end, u64::MAX - price, auction, bidder]
    });
    answer(data.bids.len(), rows)
}

fn q8(data: &Data) -> Answer {
    let mut rows = Vec::new();
    for person in &data.persons {
        for auction in &data.auctions {
            if auction[1] == person[0] && auction[4] / 10_000 == person[3] / 10_000 {
                rows.push(vec![
                    person[0],
                    auction[0],
                    person[3] / 10_000 * 10_000 + 10_000,
                ]);
            }
        }
    }
    answer(data.persons.len() + data.auctions.len(), rows)
}

fn keysum(records: &[KeyValue]) -> Answer {
    let mut sums = BTreeMap::new();
    let rows = records.iter().map(|[key, value]| {
        let sum = sums.entry(*key).or_insert(0);
        *sum += value;
        vec![*key, *sum]
    });
    answer(records.len(), rows)
}

fn wordcount(data: &Data) -> Answer {
    let words: Vec<&str> = data.words.split_whitespace().collect();
    let mut counts = BTreeMap::new();
    let rows = words.iter().map(|word| {
        let count = counts.entry(*word).or_insert(0);
        *count += 1;
        vec![fnv1a64(word), *count]
    });
    answer(words.len(), rows)
}
