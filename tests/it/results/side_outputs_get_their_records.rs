//! Side outputs carry what was emitted to their tag, used or not, alongside a main stream used or not.

use thalweg::connectors::{Collected, Sequence};
use thalweg::operator::{Outcome, OutputTag, ProcessContext, ProcessFunction};

use crate::schedule::{Schedule, sorted};

const COUNT: u64 = 1_000;

/// Emits every number to the main output, multiples of 3 to one side output, and multiples of 5, as text, to another.
#[derive(Clone)]
struct Sieve {
    thirds: OutputTag<u64>,
    fifths: OutputTag<str>,
}

impl Sieve {
    fn new() -> Self {
        Sieve {
            thirds: OutputTag::new("thirds"),
            fifths: OutputTag::new("fifths"),
        }
    }
}

impl ProcessFunction<u64> for Sieve {
    type Out = u64;

    fn process(&mut self, n: &u64, cx: &mut impl ProcessContext<u64>) -> Outcome {
        cx.emit(n);
        if n.is_multiple_of(3) {
            cx.emit_to(&self.thirds, n);
        }
        if n.is_multiple_of(5) {
            cx.emit_to(&self.fifths, &*n.to_string());
        }
        Ok(())
    }
}

fn fifths() -> Vec<String> {
    sorted((0..COUNT).filter(|n| n % 5 == 0).map(|n| n.to_string()))
}

#[test]
fn every_output_gets_its_records() {
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let (main, thirds) = (Collected::new(), Collected::new());
        let text = Collected::<String>::new();
        let sieve = Sieve::new();
        let numbers = env.source("numbers", Sequence::new(0..COUNT));
        let sieved = numbers.rebalance().process(sieve.clone());
        let side = sieved.side_output(&sieve.thirds);
        sieved
            .side_output(&sieve.fifths)
            .shuffle()
            .sink("fifths", text.sink());
        side.map(|n| *n).sink("thirds", thirds.sink());
        sieved.rebalance().sink("main", main.sink());
        schedule.run(&env);
        assert!(sorted(main.take()).into_iter().eq(0..COUNT), "{schedule:?}");
        let expected = (0..COUNT).filter(|n| n % 3 == 0);
        assert!(
            sorted(thirds.take()).into_iter().eq(expected),
            "{schedule:?}"
        );
        assert_eq!(sorted(text.take()), fifths(), "{schedule:?}");
    }
}

#[test]
fn a_side_output_lives_without_its_main_stream() {
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let text = Collected::<String>::new();
        let sieve = Sieve::new();
        let numbers = env.source("numbers", Sequence::new(0..COUNT));
        let sieved = numbers.rebalance().process(sieve.clone());
        sieved
            .side_output(&sieve.fifths)
            .sink("fifths", text.sink());
        drop(sieved);
        schedule.run(&env);
        assert_eq!(sorted(text.take()), fifths(), "{schedule:?}");
    }
}

#[test]
fn a_side_output_may_be_united_with_its_main_stream() {
    let expected = sorted((0..COUNT).chain((0..COUNT).filter(|n| n % 3 == 0)));
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let united = Collected::new();
        let sieve = Sieve::new();
        let sieved = env
            .source("numbers", Sequence::new(0..COUNT))
            .process(sieve.clone());
        let thirds = sieved.side_output(&sieve.thirds).rebalance();
        sieved
            .rebalance()
            .union(thirds)
            .sink("united", united.sink());
        schedule.run(&env);
        assert_eq!(sorted(united.take()), expected, "{schedule:?}");
    }
}

#[test]
fn whoever_takes_a_side_output_gets_all_its_records() {
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let texts = [(); 3].map(|()| Collected::<String>::new());
        let sieve = Sieve::new();
        let numbers = env.source("numbers", Sequence::new(0..COUNT));
        let sieved = numbers.rebalance().process(sieve.clone());
        for (n, text) in texts.iter().enumerate() {
            let side = sieved.side_output(&sieve.fifths).name("renamed");
            side.sink(&format!("fifths {n}"), text.sink());
        }
        schedule.run(&env);
        for text in texts {
            assert_eq!(sorted(text.take()), fifths(), "{schedule:?}");
        }
    }
}
