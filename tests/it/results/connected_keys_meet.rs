//! Two connected keyed streams: the records of a key from both share one state.

use std::collections::BTreeMap;

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::operator::{KeyedCoProcessFunction, KeyedOpenContext, KeyedProcessContext, Outcome};
use thalweg::state::ListState;

use crate::schedule::{Schedule, sorted};

/// Joins every record of one input with every record of the other that has the same key.
#[derive(Clone, Default)]
struct Join {
    firsts: ListState<u64>,
    seconds: ListState<u64>,
}

type Pair = [u64; 2];
type Joined = [u64; 3];

impl KeyedCoProcessFunction<u64, Pair, Pair> for Join {
    type Out = Joined;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.firsts = cx.state().list_state("firsts")?;
        self.seconds = cx.state().list_state("seconds")?;
        Ok(())
    }

    fn process_first(
        &mut self,
        pair: &Pair,
        cx: &mut impl KeyedProcessContext<u64, Joined>,
    ) -> Outcome {
        self.firsts.add(cx, pair[1]);
        for second in self.seconds.get(cx).to_vec() {
            cx.emit(&[pair[0], pair[1], second]);
        }
        Ok(())
    }

    fn process_second(
        &mut self,
        pair: &Pair,
        cx: &mut impl KeyedProcessContext<u64, Joined>,
    ) -> Outcome {
        self.seconds.add(cx, pair[1]);
        for first in self.firsts.get(cx).to_vec() {
            cx.emit(&[pair[0], first, pair[1]]);
        }
        Ok(())
    }
}

fn joined(schedule: Schedule, firsts: &[Pair], seconds: &[Pair]) -> Vec<Joined> {
    let env = schedule.environment();
    let results = Collected::new();
    let seconds = env.source("seconds", Collection::of(seconds.to_vec()));
    env.source("firsts", Collection::of(firsts.to_vec()))
        .key_by(|pair| pair[0])
        .connect(seconds.key_by(|pair| pair[0]))
        .process(Join::default())
        .sink("joined", results.sink());
    schedule.run(&env);
    sorted(results.take())
}

fn oracle(firsts: &[Pair], seconds: &[Pair]) -> Vec<Joined> {
    let mut by_key: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for pair in seconds {
        by_key.entry(pair[0]).or_default().push(pair[1]);
    }
    let matches = |pair: &Pair| {
        let [key, first] = *pair;
        let seconds = by_key.get(&key).cloned().unwrap_or_default();
        seconds.into_iter().map(move |second| [key, first, second])
    };
    sorted(firsts.iter().flat_map(matches))
}

fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    prop::collection::vec(
        (0..12_u64, 0..1_000_u64).prop_map(|(key, n)| [key, n]),
        0..60,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn connected_keys_join(firsts in pairs(), seconds in pairs()) {
        let expected = oracle(&firsts, &seconds);
        for schedule in Schedule::some() {
            prop_assert_eq!(joined(schedule, &firsts, &seconds), expected.clone(), "{:?}", schedule);
        }
    }
}

#[test]
fn connected_keys_join_under_every_schedule() {
    let firsts: Vec<Pair> = (0..300).map(|n| [n % 40, n]).collect();
    let seconds: Vec<Pair> = (0..200).map(|n| [n % 50, 1_000 + n]).collect();
    for schedule in Schedule::all() {
        let found = joined(schedule, &firsts, &seconds);
        assert_eq!(found, oracle(&firsts, &seconds), "{schedule:?}");
    }
}
