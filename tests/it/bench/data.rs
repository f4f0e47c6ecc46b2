//! Small inputs for `thalweg bench`: deterministic, with hot keys, ties, and disorder on request.

use std::fs;
use std::path::Path;

/// A bid: auction, bidder, price, milliseconds.
pub(super) type Bid = [u64; 4];

/// A person: id, state, city, milliseconds.
pub(super) type Person = [u64; 4];

/// An auction: id, seller, category, first bid, milliseconds, milliseconds of its end.
pub(super) type Auction = [u64; 6];

/// A key and its value.
pub(super) type KeyValue = [u64; 2];

/// All inputs.
#[derive(Clone)]
pub(super) struct Data {
    pub(super) bids: Vec<Bid>,
    pub(super) persons: Vec<Person>,
    pub(super) auctions: Vec<Auction>,
    /// With the names of their files.
    pub(super) keys: Vec<(&'static str, Vec<KeyValue>)>,
    pub(super) words: String,
}

/// A generator of numbers (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % bound
    }

    /// Half of the time one of a few numbers.
    fn skewed(&mut self, bound: u64) -> u64 {
        let bound = if self.below(2) == 0 {
            1 + bound / 50
        } else {
            bound
        };
        self.below(bound)
    }
}

/// Inputs covering about two minutes, in which a record may be up to `jitter_ms` older than an earlier one.
pub(super) fn data(seed: u64, jitter_ms: u64) -> Data {
    let mut numbers = Numbers(seed);
    let at = |numbers: &mut Numbers, number: u64, per_second: u64| {
        1_000_000 + number * 1000 / per_second - numbers.below(jitter_ms + 1)
    };
    let bids = (0..30_000).map(|n| {
        let auction = n / 20 + numbers.skewed(500);
        let bidder = numbers.below(40);
        // Few distinct prices, so that there are ties.
        [
            auction,
            bidder,
            100 + numbers.below(60),
            at(&mut numbers, n, 250),
        ]
    });
    let bids = bids.collect();
    let persons = (0..3000).map(|n| {
        let (state, city) = (numbers.below(50), numbers.below(1000));
        [n * 7, state, city, at(&mut numbers, n, 25)]
    });
    let persons = persons.collect();
    let auctions = (0..9000_u64).map(|n| {
        // Sellers who have joined, and some who join later or never.
        let seller = 7 * (n / 3 + 60).saturating_sub(numbers.skewed(100));
        let (category, price) = (10 + numbers.below(5), numbers.below(100));
        let time = at(&mut numbers, n, 75);
        [n, seller, category, price, time, time + 20_000]
    });
    let auctions = auctions.collect();
    let keys = [("keys_1k", 1000), ("keys_1m", 9000), ("keys_10m", 30_000)];
    let mut keys: Vec<_> = keys
        .map(|(name, count)| (name, keyed(&mut numbers, count)))
        .into();
    keys.push(("keys_zipf_1m", keyed(&mut numbers, 4000)));
    Data {
        bids,
        persons,
        auctions,
        keys,
        words: words(&mut numbers),
    }
}

fn keyed(numbers: &mut Numbers, count: u64) -> Vec<KeyValue> {
    let key = |_| numbers.skewed(count);
    let keys = (0..20_000).map(key);
    keys.map(|key| [key, key * key % 1009]).collect()
}

/// Lines of 8 to 16 words, more than three blocks of 64 KiB in all; one word is as long as two lines.
fn words(numbers: &mut Numbers) -> String {
    let mut text = String::new();
    for line in 0..3000 {
        for place in 0..8 + numbers.below(9) {
            let word = numbers.skewed(3000);
            text += if place > 0 { " " } else { "" };
            text += &format!(
                "{:x}",
                word.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF >> (word % 5 * 4)
            );
        }
        text += &"z".repeat(if line == 1500 { 200 } else { 0 });
        text += "\n";
    }
    text
}

impl Data {
    /// The first `count` records of every input (of words: lines).
    pub(super) fn first(&self, count: usize) -> Data {
        let mut first = self.clone();
        first.bids.truncate(count);
        first.persons.truncate(count);
        first.auctions.truncate(count);
        first
            .keys
            .iter_mut()
            .for_each(|(_, keys)| keys.truncate(count));
        first.words = self.words.split_inclusive('\n').take(count).collect();
        first
    }

    /// Writes every input into `directory`, with `suffix` in its name.
    pub(super) fn write(&self, directory: &Path, suffix: &str) {
        let save = |name: &str, extension: &str, bytes: &[u8]| {
            let path = directory.join(format!("{name}{suffix}.{extension}"));
            fs::write(path, bytes).expect("written");
        };
        save("bids", "bin", &bytes(&self.bids));
        save("persons", "bin", &bytes(&self.persons));
        save("auctions", "bin", &bytes(&self.auctions));
        for (name, keys) in &self.keys {
            save(name, "bin", &bytes(keys));
        }
        save("words", "txt", self.words.as_bytes());
    }
}

fn bytes<const N: usize>(records: &[[u64; N]]) -> Vec<u8> {
    let numbers = records.iter().flatten();
    numbers.flat_map(|number| number.to_le_bytes()).collect()
}
