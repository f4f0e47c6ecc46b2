//! A job whose process dies at any moment and is restarted produces the output of an undisturbed one.

use std::sync::Arc;
use std::time::Duration;

use thalweg::checkpoint::{HeapStorage, OperatorState, RestoredState, Storage};
use thalweg::prelude::*;

use super::killed::run_killed;
use super::ledger::Ledger;

const NUMBERS: u64 = 4_000;
const KEYS: u64 = 37;

/// Running counts of numbers by key, into a ledger: the rows do not depend on the order.
fn running_counts(parallelism: u32, storage: &Arc<dyn Storage>, ledger: &Ledger) -> Environment {
    let env = Environment::new()
        .parallelism(parallelism)
        .ring_capacity(2048)
        .checkpoints(Checkpoints::on_request().to_storage(Arc::clone(storage)))
        .restore(RestoreFrom::Latest);
    env.source("numbers", Sequence::new(0..NUMBERS))
        .key_by(|n| n % KEYS)
        .aggregate_with(Count, |key, count| [*key, count])
        .uid("counts")
        .sink("ledger", ledger.clone());
    env
}

/// The output of an undisturbed job.
fn expected() -> Vec<[u64; 2]> {
    let of_key = |key: u64| (1..=(NUMBERS - key).div_ceil(KEYS)).map(move |n| [key, n]);
    (0..KEYS).flat_map(of_key).collect()
}

#[test]
fn job_that_is_killed_at_any_step_gives_the_undisturbed_output() {
    let expected = expected();
    for seed in 1..40u64 {
        let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
        let ledger = Ledger::default();
        run_killed(seed, &[1, 2, 3, 8], 1, |parallelism, _| {
            running_counts(parallelism, &storage, &ledger)
        });
        assert!(ledger.rows() == expected, "seed {seed}");
    }
}

#[test]
fn job_that_has_finished_is_at_its_end_when_it_is_started_again() {
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    let ledger = Ledger::default();
    for parallelism in [2, 2, 3] {
        let env = running_counts(parallelism, &storage, &ledger);
        env.execute("counts").expect("it finishes");
        assert!(ledger.rows() == expected(), "at parallelism {parallelism}");
    }
}

/// Emits at the end how many records arrived.
#[derive(Clone, Default)]
struct LastWord(u64);

impl ProcessFunction<u64> for LastWord {
    type Out = [u64; 2];
    const STATEFUL: bool = true;

    fn process(&mut self, _: &u64, _: &mut impl ProcessContext<[u64; 2]>) -> Outcome {
        self.0 += 1;
        Ok(())
    }

    fn on_end(&mut self, cx: &mut impl ProcessContext<[u64; 2]>) -> Outcome {
        cx.emit(&[u64::from(cx.subtask().index), self.0]);
        Ok(())
    }

    fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
        Ok(state.list("records", [&self.0])?)
    }

    fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
        self.0 = state.list::<u64>("records")?.iter().sum();
        Ok(())
    }
}

/// Stores nothing.
#[derive(Clone)]
struct Stateless(LastWord);

impl ProcessFunction<u64> for Stateless {
    type Out = [u64; 2];

    fn process(&mut self, n: &u64, cx: &mut impl ProcessContext<[u64; 2]>) -> Outcome {
        self.0.process(n, cx)
    }

    fn on_end(&mut self, cx: &mut impl ProcessContext<[u64; 2]>) -> Outcome {
        self.0.on_end(cx)
    }
}

#[test]
fn function_has_its_last_word_once_though_the_job_that_has_finished_is_started_again() {
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    let ledger = Ledger::default();
    for parallelism in [2, 2, 3] {
        let env = Environment::new()
            .parallelism(parallelism)
            .checkpoints(Checkpoints::on_request().to_storage(Arc::clone(&storage)))
            .restore(RestoreFrom::Latest);
        env.source("numbers", Sequence::new(0..10))
            .process(LastWord::default())
            .uid("last word")
            .sink("ledger", ledger.clone());
        env.execute("last words").expect("it finishes");
        assert_eq!(
            ledger.rows(),
            [[0, 5], [1, 5]],
            "at parallelism {parallelism}"
        );
    }
}

#[test]
fn function_that_had_nothing_but_its_last_word_may_be_gone_behind_the_end() {
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    for is_there in [true, false] {
        let env = Environment::new()
            .checkpoints(Checkpoints::on_request().to_storage(Arc::clone(&storage)))
            .restore(RestoreFrom::Latest);
        let numbers = env.source("numbers", Sequence::new(0..10));
        if is_there {
            let words = numbers.process(Stateless(LastWord::default()));
            words.uid("last word").sink("nowhere", Discard::new());
        } else {
            numbers.sink("nowhere", Discard::new());
        }
        env.execute("last words").expect("it finishes");
    }
}

#[test]
fn checkpoints_on_threads_commit_what_is_before_them() {
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    let ledger = Ledger::default();
    let env = Environment::new()
        .parallelism(2)
        .checkpoints(Checkpoints::every(Duration::from_millis(5)).to_storage(storage));
    env.source("numbers", Generator::new(|n| n).rate(200_000).count(40_000))
        .key_by(|n| n % KEYS)
        .aggregate_with(Count, |key, count| [*key, count])
        .uid("counts")
        .sink("ledger", ledger.clone());
    let job = env.spawn("counts").expect("a job");
    job.checkpoint().expect("a checkpoint");
    let committed = ledger.rows().len();
    let result = job.wait().expect("it finishes");
    assert_eq!(ledger.rows().len(), 40_000);
    assert!(committed <= 40_000 && result.records() == 40_000);
}
