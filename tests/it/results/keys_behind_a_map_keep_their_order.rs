//! Records that a map produces are held back briefly on their way to a large keyed state: in order, and never beyond
//! the end of a batch.

use thalweg::connectors::{Collected, Sequence};
use thalweg::operator::Sum;

use crate::schedule::{Schedule, by_key};

const KEYS: u64 = 20_000;
const RECORDS: u64 = 60_000;

fn pair(index: u64) -> [u64; 2] {
    [
        index.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS,
        index % 100,
    ]
}

#[test]
fn running_sums_of_many_mapped_keys_are_in_order() {
    let mut sums = std::collections::HashMap::new();
    let expected = (0..RECORDS).map(pair).map(|[key, value]| {
        let sum = sums.entry(key).or_insert(0);
        *sum += value;
        [key, *sum]
    });
    let expected = by_key(expected, |row| row[0]);
    for schedule in [
        Schedule::threads(1),
        Schedule::steps(1, 3, 1),
        Schedule::steps(1, 3, 100),
        Schedule::steps(1, 5, 20_000),
    ] {
        let env = schedule.environment();
        let rows = Collected::new();
        env.source("numbers", Sequence::new(0..RECORDS))
            .map(|index| pair(*index))
            .key_by(|pair| pair[0])
            .aggregate_with(Sum::of(|pair: &[u64; 2]| pair[1]), |key, sum| [*key, sum])
            .sink("rows", rows.sink());
        schedule.run(&env);
        let rows = by_key(rows.take(), |row: &[u64; 2]| row[0]);
        assert!(rows == expected, "{schedule:?}");
    }
}
