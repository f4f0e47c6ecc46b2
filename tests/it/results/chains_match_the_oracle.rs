//! `map`, `filter` and `flat_map`, alone and around an exchange, match those of an iterator.

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::operator::FlatMapFunction;

use crate::schedule::{Schedule, sorted};

fn chained(schedule: Schedule, numbers: &[i64]) -> Vec<i64> {
    let env = schedule.environment();
    let results = Collected::new();
    env.source("numbers", Collection::of(numbers.to_vec()))
        .filter(|n| n % 3 != 0)
        .map(|n| n * 2)
        .rebalance()
        .flat_map(|n| [*n, -*n].into_iter().filter(|n| n % 4 == 0))
        .map(|n| n + 1)
        .sink("results", results.sink());
    schedule.run(&env);
    results.take()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn chains_are_iterators(numbers in prop::collection::vec(-1_000..1_000_i64, 0..400)) {
        let expected = sorted(
            numbers
                .iter()
                .filter(|n| *n % 3 != 0)
                .map(|n| n * 2)
                .flat_map(|n| [n, -n].into_iter().filter(|n| n % 4 == 0))
                .map(|n| n + 1),
        );
        for schedule in Schedule::some() {
            prop_assert_eq!(sorted(chained(schedule, &numbers)), expected.clone(), "{:?}", schedule);
        }
    }
}

#[derive(Clone)]
struct Words;

impl FlatMapFunction<String> for Words {
    type Out = str;

    fn flat_map(&mut self, line: &String, emit: impl FnMut(&str)) {
        line.split(' ').for_each(emit);
    }
}

#[test]
fn borrowed_text_crosses_exchanges_at_every_parallelism() {
    let lines: Vec<String> = (0..300).map(|n| format!("{n} {} word", n % 7)).collect();
    let expected = sorted(lines.iter().flat_map(|l| l.split(' ')).map(str::to_owned));
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let words = Collected::<String>::new();
        env.source("lines", Collection::of(lines.clone()))
            .flat_map_with(Words)
            .shuffle()
            .sink("words", words.sink());
        schedule.run(&env);
        assert_eq!(sorted(words.take()), expected, "{schedule:?}");
    }
}
