//! A broadcast stream connected with a partitioned one: rules for every subtask.

use thalweg::connectors::{Collected, Collection, Sequence};
use thalweg::operator::{CoProcessFunction, Outcome, ProcessContext};

use crate::schedule::{Schedule, sorted};

/// Stores numbers until both inputs have ended, and then emits how many rules it has received.
#[derive(Clone, Default)]
struct Ruled {
    numbers: Vec<u64>,
    rules: Vec<u64>,
    ended: bool,
}

impl Ruled {
    fn end(&mut self, cx: &mut impl ProcessContext<(u64, u64)>) -> Outcome {
        if std::mem::replace(&mut self.ended, true) {
            let sum = self.rules.iter().sum();
            self.numbers.iter().for_each(|n| cx.emit(&(*n, sum)));
        }
        Ok(())
    }
}

impl CoProcessFunction<u64, u64> for Ruled {
    type Out = (u64, u64);

    fn process_first(&mut self, n: &u64, _: &mut impl ProcessContext<(u64, u64)>) -> Outcome {
        self.numbers.push(*n);
        Ok(())
    }

    fn process_second(&mut self, rule: &u64, _: &mut impl ProcessContext<(u64, u64)>) -> Outcome {
        self.rules.push(*rule);
        Ok(())
    }

    fn end_first(&mut self, cx: &mut impl ProcessContext<(u64, u64)>) -> Outcome {
        self.end(cx)
    }

    fn end_second(&mut self, cx: &mut impl ProcessContext<(u64, u64)>) -> Outcome {
        self.end(cx)
    }
}

#[test]
fn every_subtask_hears_every_rule_once() {
    let expected: Vec<(u64, u64)> = (0..800).map(|n| (n, 1 + 10 + 100)).collect();
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let results = Collected::new();
        let rules = env.source("rules", Collection::of([1_u64, 10, 100]));
        env.source("numbers", Sequence::new(0..800))
            .rebalance()
            .connect(rules.broadcast())
            .process(Ruled::default())
            .sink("results", results.sink());
        schedule.run(&env);
        assert_eq!(sorted(results.take()), expected, "{schedule:?}");
    }
}
