//! Rolling functions and running aggregates produce for each key the results of a plain map, in order.

use std::collections::HashMap;

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::datastream::{KeyedStream, Stream};
use thalweg::record::{KeySelector, Pod, Record};
use thalweg::runtime::Pipe;
use thalweg::state::{Count, Max, Mean, Min, Sum};

use crate::schedule::{Schedule, by_key};

/// A record with a key, a number to roll, and a position that identifies the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Trade {
    key: u64,
    number: i64,
    place: u64,
}

impl Record for Trade {
    type Form = Pod;
}

fn trades() -> impl Strategy<Value = Vec<Trade>> {
    prop::collection::vec((0..9_u64, -20..20_i64), 0..300).prop_map(|pairs| {
        let trade = |(place, (key, number)): (u64, (u64, i64))| Trade { key, number, place };
        (0..).zip(pairs).map(trade).collect()
    })
}

/// One result per record: the first of a key unchanged, then `roll(reduced, record)`.
fn oracle(trades: &[Trade], roll: impl Fn(Trade, Trade) -> Trade) -> Vec<Trade> {
    let mut state: HashMap<u64, Trade> = HashMap::new();
    let rolled = trades.iter().map(|trade| {
        let known = state.get(&trade.key);
        let next = known.map_or(*trade, |reduced| roll(*reduced, *trade));
        state.insert(trade.key, next);
        next
    });
    rolled.collect()
}

/// Runs a keyed job under several schedules and compares the results of each key, in order.
fn agrees<T, P>(
    trades: &[Trade],
    expected: Vec<T>,
    key: impl Fn(&T) -> u64,
    build: impl Fn(TradesByKey) -> Stream<P>,
) -> Result<(), TestCaseError>
where
    T: Clone + PartialEq + std::fmt::Debug + Send + 'static,
    P: Pipe<Out = T>,
{
    let expected = by_key(expected, &key);
    for schedule in Schedule::some() {
        let env = schedule.environment();
        let results = Collected::new();
        let keyed = keyed(env.source("trades", Collection::of(trades.to_vec())));
        build(keyed).sink("results", results.sink());
        schedule.run(&env);
        prop_assert_eq!(
            by_key(results.take(), &key),
            expected.clone(),
            "{:?}",
            schedule
        );
    }
    Ok(())
}

type Trades = thalweg::datastream::Sourced<Collection<Trade>>;
type ByKey = thalweg::record::OwnedSelector<fn(&Trade) -> u64>;
type TradesByKey =
    KeyedStream<thalweg::datastream::Exchanged<Trades, thalweg::operator::KeyGroups<ByKey>>, ByKey>;

fn keyed(trades: Stream<Trades>) -> TradesByKey {
    trades.key_by((|trade| trade.key) as fn(&Trade) -> u64)
}

fn key_of(trade: &Trade) -> u64 {
    // The selectors and this function must agree on what the key is.
    thalweg::record::OwnedSelector(|trade: &Trade| trade.key).key(trade)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn reduce_rolls_each_key(trades in trades()) {
        let roll = |a: Trade, b: Trade| Trade { number: a.number.wrapping_mul(3) + b.number, ..a };
        agrees(&trades, oracle(&trades, roll), key_of, |keyed| keyed.reduce(move |a, b| roll(*a, *b)))?;
    }

    #[test]
    fn sum_min_and_max_change_one_field(trades in trades()) {
        let number = |a: Trade, number| Trade { number, ..a };
        agrees(&trades, oracle(&trades, |a, b| number(a, a.number + b.number)), key_of,
            |keyed| keyed.sum(|trade| &mut trade.number))?;
        agrees(&trades, oracle(&trades, |a, b| number(a, a.number.min(b.number))), key_of,
            |keyed| keyed.min(|trade| &mut trade.number))?;
        agrees(&trades, oracle(&trades, |a, b| number(a, a.number.max(b.number))), key_of,
            |keyed| keyed.max(|trade| &mut trade.number))?;
    }

    #[test]
    fn min_by_and_max_by_keep_the_first_of_equals(trades in trades()) {
        agrees(&trades, oracle(&trades, |a, b| if b.number < a.number { b } else { a }), key_of,
            |keyed| keyed.min_by(|trade| trade.number))?;
        agrees(&trades, oracle(&trades, |a, b| if b.number > a.number { b } else { a }), key_of,
            |keyed| keyed.max_by(|trade| trade.number))?;
    }

    #[test]
    fn aggregates_run_per_key(trades in trades()) {
        let running = |fold: fn(&[i64]) -> i64| -> Vec<(u64, i64)> {
            let mut seen: HashMap<u64, Vec<i64>> = HashMap::new();
            trades.iter().map(|trade| {
                let numbers = seen.entry(trade.key).or_default();
                numbers.push(trade.number);
                (trade.key, fold(numbers))
            }).collect()
        };
        let key = |pair: &(u64, i64)| pair.0;
        agrees(&trades, running(|n| n.iter().sum()), key,
            |keyed| keyed.aggregate(Sum::of(|trade: &Trade| trade.number)))?;
        agrees(&trades, running(|n| n.len() as i64), key,
            |keyed| keyed.aggregate_with(Count, |key, count| (*key, count as i64)))?;
        agrees(&trades, running(|n| *n.iter().min().unwrap()), key,
            |keyed| keyed.aggregate_with(Min::of(|trade: &Trade| trade.number), |key, least| (*key, least.unwrap())))?;
        agrees(&trades, running(|n| *n.iter().max().unwrap()), key,
            |keyed| keyed.aggregate_with(Max::of(|trade: &Trade| trade.number), |key, most| (*key, most.unwrap())))?;
        let mean = |n: &[i64]| (n.iter().sum::<i64>() as f64 / n.len() as f64 * 1e6).round() as i64;
        agrees(&trades, running(mean), key,
            |keyed| keyed.aggregate_with(Mean::of(|trade: &Trade| trade.number as f64),
                |key, mean| (*key, (mean.unwrap() * 1e6).round() as i64)))?;
    }
}

#[test]
fn every_schedule_rolls_the_same_sums() {
    let trade = |place: u64| Trade {
        key: place % 13,
        number: place as i64,
        place,
    };
    let trades: Vec<Trade> = (0..2_000).map(trade).collect();
    let expected = by_key(
        oracle(&trades, |a, b| Trade {
            number: a.number + b.number,
            ..a
        }),
        key_of,
    );
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let sums = Collected::new();
        keyed(env.source("trades", Collection::of(trades.clone())))
            .sum(|trade| &mut trade.number)
            .sink("sums", sums.sink());
        schedule.run(&env);
        assert_eq!(by_key(sums.take(), key_of), expected, "{schedule:?}");
    }
}

/// The words of a line, owned: their far side is like `str`, read in place.
#[test]
fn words_are_counted_by_a_borrowed_key() {
    let words: Vec<String> = (0..1_500)
        .map(|n: u32| format!("word {}", n * n % 29))
        .collect();
    let mut expected: HashMap<String, u64> = HashMap::new();
    for word in &words {
        *expected.entry(word.clone()).or_default() += 1;
    }
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let counts = Collected::new();
        env.source("words", Collection::of(words.clone()))
            .key_by_ref(|word| word)
            .aggregate_with(Count, |word: &str, count| (word.to_owned(), count))
            .sink("counts", counts.sink());
        schedule.run(&env);
        let mut last: HashMap<String, u64> = HashMap::new();
        for (word, count) in counts.take() {
            let before = last.insert(word, count).unwrap_or(0);
            assert_eq!(count, before + 1, "counts come in order: {schedule:?}");
        }
        assert_eq!(last, expected, "{schedule:?}");
    }
}
