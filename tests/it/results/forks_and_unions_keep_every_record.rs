//! A forked stream sends every record to every branch; a union neither loses nor duplicates records.

use thalweg::connectors::{Collected, Collection, Sequence};
use thalweg::operator::{CoProcessFunction, Outcome, ProcessContext};

use crate::schedule::{Schedule, sorted};

const COUNT: u64 = 1_000;

#[test]
fn a_stream_united_with_itself_has_every_record_twice() {
    let expected = sorted((0..COUNT).chain(0..COUNT));
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let (plain, exchanged) = (Collected::new(), Collected::new());
        let [a, b, c, d] = env.source("numbers", Sequence::new(0..COUNT)).fork();
        a.union(b).sink("plain", plain.sink());
        c.rebalance()
            .union(d.shuffle())
            .sink("exchanged", exchanged.sink());
        schedule.run(&env);
        assert_eq!(sorted(plain.take()), expected, "{schedule:?}");
        assert_eq!(sorted(exchanged.take()), expected, "{schedule:?}");
    }
}

#[test]
fn a_union_of_three_sources_has_the_records_of_all() {
    let expected = sorted((0..COUNT).chain(5_000..5_400).chain(9_000..9_001));
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let united = Collected::new();
        let first = env.source("first", Sequence::new(0..COUNT));
        let second = env.source("second", Collection::of(5_000..5_400_u64));
        let third = env.source("third", Collection::of([9_000_u64]));
        let both = first.rebalance().union(second.rebalance());
        both.union(third.rebalance()).sink("united", united.sink());
        schedule.run(&env);
        assert_eq!(sorted(united.take()), expected, "{schedule:?}");
    }
}

/// Numbers of the first input unchanged, those of the second negated.
#[derive(Clone)]
struct Signed;

impl CoProcessFunction<u64, u64> for Signed {
    type Out = i64;

    fn process_first(&mut self, n: &u64, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(&(*n as i64));
        Ok(())
    }

    fn process_second(&mut self, n: &u64, cx: &mut impl ProcessContext<i64>) -> Outcome {
        cx.emit(&-(*n as i64));
        Ok(())
    }
}

#[test]
fn the_branches_of_a_diamond_meet_again() {
    let evens = (1..COUNT).filter(|n| n % 2 == 0).map(|n| n as i64);
    let thirds = (1..COUNT).filter(|n| n % 3 == 0).map(|n| -(n as i64));
    let expected = sorted(evens.chain(thirds));
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let (fused, exchanged) = (Collected::new(), Collected::new());
        let [a, b, c, d] = env.source("numbers", Sequence::new(1..COUNT)).fork();
        a.filter(|n| n % 2 == 0)
            .connect(b.filter(|n| n % 3 == 0))
            .process(Signed)
            .sink("fused", fused.sink());
        c.filter(|n| n % 2 == 0)
            .rebalance()
            .connect(d.rebalance().filter(|n| n % 3 == 0))
            .process(Signed)
            .sink("exchanged", exchanged.sink());
        schedule.run(&env);
        assert_eq!(sorted(fused.take()), expected, "{schedule:?}");
        assert_eq!(sorted(exchanged.take()), expected, "{schedule:?}");
    }
}

/// One branch ends in nothing, another in an exchange: the third must not be affected.
#[test]
fn branches_do_not_depend_on_each_other() {
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let results = Collected::new();
        let [a, b, _unused] = env.source("numbers", Sequence::new(0..COUNT)).fork();
        a.map(|n| n + 1).rebalance().map(|n| n + 1);
        b.sink("results", results.sink());
        schedule.run(&env);
        assert!(
            sorted(results.take()).into_iter().eq(0..COUNT),
            "{schedule:?}"
        );
    }
}

/// A branch that is forked again, at once or behind an exchange: whatever the order in which the branches are used, each
/// has all records.
#[test]
fn branches_of_branches_have_every_record() {
    for schedule in Schedule::all() {
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let env = schedule.environment();
            let [a, b] = env.source("numbers", Sequence::new(0..COUNT)).fork();
            let [c, d] = a.fork();
            let (mut b, mut c, mut d) = (Some(b), Some(c), Some(d));
            let results = [(); 3].map(|()| Collected::new());
            for branch in order {
                let sink = results[branch].sink();
                let stream = match branch {
                    0 => b.take().map(|b| b.sink("outer", sink)),
                    1 => c.take().map(|c| c.sink("inner", sink)),
                    _ => d.take().map(|d| d.rebalance().sink("exchanged", sink)),
                };
                assert!(stream.is_some());
            }
            schedule.run(&env);
            for (branch, results) in results.iter().enumerate() {
                assert!(
                    sorted(results.take()).into_iter().eq(0..COUNT),
                    "branch {branch}, {order:?}, {schedule:?}"
                );
            }
        }
    }
}
