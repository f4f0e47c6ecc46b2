//! Rolling reductions and running aggregates against plain maps, and by table.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::operator::recorder::{Recorder, open_context, open_context_under};
use crate::operator::{Count, KeyedAggregate, MaxBy, MaxOf, Mean, MinBy, MinOf, Sum, SumOf};
use crate::record::{BorrowedSelector, KeyGroupAssignment, OwnedSelector, Pod, Record};

#[derive(Clone, Copy, PartialEq, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Trade {
    instrument: u64,
    number: u64,
    price: f64,
}

impl Record for Trade {
    type Form = Pod;
}

fn trade(instrument: u64, number: u64, price: f64) -> Trade {
    Trade {
        instrument,
        number,
        price,
    }
}

/// Rolls `function` over the trades by instrument.
fn rolled<F: RollingFunction<Trade>>(function: F, trades: &[Trade]) -> Vec<Trade> {
    let log = Recorder::new();
    let selector = OwnedSelector(|t: &Trade| t.instrument);
    let mut chain = KeyedReduce::new("rolling".into(), selector, function, log.clone());
    chain.open(&open_context()).unwrap();
    for (index, trade) in trades.iter().enumerate() {
        let hash = chain.hash_ahead(trade);
        chain.prefetch(hash, Lookahead::Near);
        chain.push_hashed(trade, Timestamp(index as i64), hash);
    }
    chain.flush();
    let (results, times): (Vec<Trade>, Vec<i64>) = log.take_records().into_iter().unzip();
    assert!(times.into_iter().eq(0..trades.len() as i64));
    results
}

#[test]
fn reduce_emits_the_running_sum_of_each_key() {
    let log = Recorder::new();
    let selector = OwnedSelector(|v: &i64| v % 2);
    let sum = Reduce(|a: &i64, b: &i64| a + b);
    let mut chain = KeyedReduce::new("sum".into(), selector, sum, log.clone());
    chain.open(&open_context()).unwrap();
    for v in [1, 2, 3, 4, 5, -3] {
        chain.push(&v, Timestamp(v));
    }
    let expected = [(1, 1), (2, 2), (4, 3), (6, 4), (9, 5), (-3, -3)];
    assert_eq!(log.take_records(), expected, "-3 % 2 is a third key");
}

#[test]
fn first_element_of_a_key_is_emitted_unchanged() {
    let constant = Reduce(|_: &Trade, _: &Trade| trade(9, 9, 9.0));
    let trades = [trade(1, 1, 5.0), trade(2, 2, 6.0), trade(1, 3, 7.0)];
    let expected = [trades[0], trades[1], trade(9, 9, 9.0)];
    assert_eq!(rolled(constant, &trades), expected);
}

const TRADES: [Trade; 4] = [
    Trade {
        instrument: 1,
        number: 1,
        price: 5.0,
    },
    Trade {
        instrument: 1,
        number: 2,
        price: 3.0,
    },
    Trade {
        instrument: 1,
        number: 3,
        price: 3.0,
    },
    Trade {
        instrument: 1,
        number: 4,
        price: 8.0,
    },
];

#[test]
fn sum_min_and_max_keep_the_other_fields_of_the_first_element() {
    let of = |prices: [f64; 4]| prices.map(|price| trade(1, 1, price));
    let sum = rolled(SumOf::of(|t: &mut Trade| &mut t.price), &TRADES);
    assert_eq!(sum, of([5.0, 8.0, 11.0, 19.0]));
    let min = rolled(MinOf::of(|t: &mut Trade| &mut t.price), &TRADES);
    assert_eq!(min, of([5.0, 3.0, 3.0, 3.0]));
    let max = rolled(MaxOf::of(|t: &mut Trade| &mut t.price), &TRADES);
    assert_eq!(max, of([5.0, 5.0, 5.0, 8.0]));
}

#[test]
fn min_by_and_max_by_keep_a_whole_element_and_of_equals_the_first() {
    let numbers = |trades: Vec<Trade>| trades.iter().map(|t| t.number).collect::<Vec<_>>();
    let min = rolled(MinBy::of(|t: &Trade| t.price), &TRADES);
    assert_eq!(numbers(min), [1, 2, 2, 2]);
    let max = rolled(MaxBy::of(|t: &Trade| t.price), &TRADES);
    assert_eq!(numbers(max), [1, 1, 1, 4]);
}

#[test]
fn state_size_is_published_at_the_end_of_a_batch() {
    let cx = open_context();
    let selector = OwnedSelector(|v: &u64| *v);
    let keep = Reduce(|a: &u64, _: &u64| *a);
    let mut chain = KeyedReduce::new("keep".into(), selector, keep, Recorder::new());
    chain.open(&cx).unwrap();
    (0..100).for_each(|v| chain.push(&v, Timestamp::MIN));
    assert_eq!(cx.metrics.total("state_entries"), 0);
    chain.flush();
    assert_eq!(cx.metrics.total("state_entries"), 100);
    assert!(cx.metrics.total("state_bytes") > 1600);
}

fn word_itself(word: &str) -> &str {
    word
}

#[test]
fn borrowed_keys_aggregate_under_both_assignments_while_the_table_grows() {
    for assignment in [KeyGroupAssignment::Hash, KeyGroupAssignment::Flink] {
        let log = Recorder::new();
        let emit = |word: &str, count: u64| (word.to_owned(), count);
        let selector = BorrowedSelector(word_itself);
        let mut chain = KeyedAggregate::new("count".into(), selector, Count, emit, log.clone());
        chain.open(&open_context_under(assignment)).unwrap();
        for round in 1..=2 {
            for number in 0..10_000 {
                let word = format!("word {number}");
                chain.push(word.as_str(), Timestamp(number));
            }
            let found = log.take_records();
            let same = |((_, count), _): &((String, u64), i64)| *count == round;
            assert!(found.iter().all(same), "{assignment:?}: a key was lost");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reduction_is_that_of_a_plain_map(records in prop::collection::vec((0u64..300, any::<i32>()), 0..800)) {
        let log = Recorder::new();
        let selector = OwnedSelector(|r: &(u64, i64)| r.0);
        let max_sum = Reduce(|a: &(u64, i64), b: &(u64, i64)| (a.0, a.1.wrapping_mul(3) ^ b.1));
        let mut chain = KeyedReduce::new("reduce".into(), selector, max_sum, log.clone());
        chain.open(&open_context()).unwrap();
        let mut oracle: HashMap<u64, i64> = HashMap::new();
        let mut expected = Vec::new();
        for (index, &(key, value)) in records.iter().enumerate() {
            let value = i64::from(value);
            chain.push(&(key, value), Timestamp(index as i64));
            let reduced = oracle.entry(key).and_modify(|a| *a = a.wrapping_mul(3) ^ value);
            expected.push(((key, *reduced.or_insert(value)), index as i64));
        }
        prop_assert_eq!(log.take_records(), expected);
    }

    #[test]
    fn running_aggregate_is_that_of_a_plain_map(records in prop::collection::vec((0u8..20, -100i64..100), 0..300)) {
        let log = Recorder::new();
        let selector = OwnedSelector(|r: &(u8, i64)| r.0);
        let mean = Mean::of(|r: &(u8, i64)| r.1 as f64);
        let both = (Sum::of(|r: &(u8, i64)| r.1), Count, mean);
        let emit = |key: &u8, out: (i64, u64, Option<f64>)| (*key, out);
        let mut chain = KeyedAggregate::new("mean".into(), selector, both, emit, log.clone());
        chain.open(&open_context()).unwrap();
        let mut oracle: HashMap<u8, (i64, u64)> = HashMap::new();
        let mut expected = Vec::new();
        for (index, record) in records.iter().enumerate() {
            chain.push(record, Timestamp(index as i64));
            let (sum, count) = oracle.entry(record.0).or_default();
            *sum += record.1;
            *count += 1;
            let mean = *sum as f64 / *count as f64;
            expected.push(((record.0, (*sum, *count, Some(mean))), index as i64));
        }
        prop_assert_eq!(log.take_records(), expected);
    }
}
