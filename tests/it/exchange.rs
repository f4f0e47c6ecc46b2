//! Records cross exchanges completely and in order per channel, at every parallelism.

use std::collections::HashMap;

use thalweg::connectors::{Collected, Collection, Sequence};
use thalweg::datastream::Environment;
use thalweg::runtime::Step;
use thalweg::time::{ManualClock, Timestamp};

fn running_sums(parallelism: u32, threaded: bool) -> Vec<(u64, u64)> {
    let env = Environment::new().parallelism(parallelism);
    let sums = Collected::new();
    env.source("numbers", Sequence::new(0..10_000))
        .map(|n| (n % 7, *n))
        .key_by(|pair| pair.0.to_native())
        .aggregate(thalweg::state::Sum::of(
            |pair: &thalweg::record::View<(u64, u64)>| pair.1.to_native(),
        ))
        .sink("sums", sums.sink());
    if threaded {
        env.execute("running sums").expect("the job finishes");
    } else {
        let mut stepper = env
            .stepper("running sums", ManualClock::new(Timestamp(0)))
            .expect("deploys");
        assert_eq!(stepper.run().expect("runs"), Step::Finished);
    }
    sums.take()
}

#[test]
fn running_sums_end_at_the_same_totals_at_every_parallelism() {
    let mut expected: HashMap<u64, u64> = HashMap::new();
    for n in 0..10_000 {
        *expected.entry(n % 7).or_default() += n;
    }
    for parallelism in [1, 2, 3, 8] {
        for threaded in [false, true] {
            let sums = running_sums(parallelism, threaded);
            assert_eq!(sums.len(), 10_000);
            let mut last: HashMap<u64, u64> = HashMap::new();
            for (key, sum) in sums {
                let before = last.entry(key).or_default();
                *before = (*before).max(sum);
            }
            assert_eq!(
                last, expected,
                "parallelism {parallelism}, threaded {threaded}"
            );
        }
    }
}

#[test]
fn the_odd_even_sums_come_once_per_record_in_order() {
    let env = Environment::new().parallelism(2);
    let sums = Collected::new();
    env.source("numbers", Collection::of(1..=10i64))
        .key_by(|n| n % 2)
        .sum(|n| n)
        .sink("print", sums.sink());
    env.execute("odd and even").expect("the job finishes");
    let (odd, even): (Vec<i64>, Vec<i64>) = sums
        .take()
        .into_iter()
        .partition(|n| [1, 4, 9, 16, 25].contains(n));
    assert_eq!(odd, [1, 4, 9, 16, 25]);
    assert_eq!(even, [2, 6, 12, 20, 30]);
}
