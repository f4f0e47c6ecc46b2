//! A failed job resumes from its last checkpoint, as often as its restart strategy allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use thalweg::checkpoint::{HeapStorage, Storage};
use thalweg::prelude::*;
use thalweg::runtime::Retention;

use super::ledger::Ledger;

const NUMBERS: u64 = 30_000;

/// A job whose map fails once at each of several numbers.
fn failing(ledger: &Ledger, failures: &Arc<AtomicU32>, strategy: RestartStrategy) -> Environment {
    let failures = Arc::clone(failures);
    let env = Environment::new()
        .parallelism(2)
        .restart(strategy)
        .checkpoints(
            Checkpoints::every(Duration::from_millis(3)).to_storage(Arc::new(HeapStorage::new())),
        );
    env.source(
        "numbers",
        Generator::new(|n| n).rate(100_000).count(NUMBERS),
    )
    .map(move |n| {
        let failed = failures.load(Ordering::Relaxed);
        if *n == 7_000 * u64::from(failed + 1)
            && failures
                .compare_exchange(failed, failed + 1, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            panic!("failure {failed}");
        }
        *n
    })
    .key_by(|n| n % 10)
    .aggregate_with(Count, |key, count| [*key, count])
    .uid("counts")
    .sink("ledger", ledger.clone());
    env
}

#[test]
fn results_are_those_of_a_job_that_did_not_fail() {
    let (ledger, failures) = (Ledger::default(), Arc::default());
    let strategy = RestartStrategy::fixed(10, Duration::from_millis(1));
    let job = failing(&ledger, &failures, strategy)
        .spawn("counts")
        .expect("a job");
    job.wait().expect("it finishes");
    assert_eq!(
        failures.load(Ordering::Relaxed),
        4,
        "7, 14, 21 and 28 thousand"
    );
    let mut expected: Vec<[u64; 2]> = (0..10)
        .flat_map(|key| (1..=NUMBERS / 10).map(move |n| [key, n]))
        .collect();
    expected.sort_unstable();
    assert!(ledger.rows() == expected);
}

#[test]
fn job_fails_for_good_when_its_strategy_says_so() {
    let (ledger, failures) = (Ledger::default(), Arc::default());
    let strategy = RestartStrategy::fixed(2, Duration::from_millis(1));
    let job = failing(&ledger, &failures, strategy)
        .spawn("counts")
        .expect("a job");
    let error = job.wait().expect_err("the third failure is one too many");
    assert!(matches!(&error, JobError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("failure 2"), "{error}");
    assert_eq!(failures.load(Ordering::Relaxed), 3);
}

#[test]
fn metrics_are_those_of_the_attempt_that_runs() {
    let (ledger, failures) = (Ledger::default(), Arc::default());
    let strategy = RestartStrategy::fixed(10, Duration::from_millis(1));
    let job = failing(&ledger, &failures, strategy).spawn("counts");
    let result = job.expect("a job").wait().expect("it finishes");
    assert!(failures.load(Ordering::Relaxed) > 0, "it has restarted");
    let mut names: Vec<_> = result
        .metrics
        .iter()
        .map(|sample| (&sample.operator, sample.subtask, sample.name))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a metric is there once");
    assert!(result.records() < NUMBERS, "{}", result.records());
}

/// Runs a job that would restart for ever, and returns the error with which it does not.
fn not_restarted(env: Environment) -> String {
    let env = env.restart(RestartStrategy::exponential());
    let error = env.execute("numbers").expect_err("it fails for good");
    error.to_string()
}

#[test]
fn error_that_comes_again_is_not_waited_for() {
    let env = Environment::new();
    env.source("numbers", Sequence::new(0..10))
        .process(Unreadable)
        .sink("nowhere", Discard::new());
    let error = not_restarted(env);
    assert!(error.contains("a record of version 7"), "{error}");
}

#[derive(Clone)]
struct Unreadable;

impl ProcessFunction<u64> for Unreadable {
    type Out = u64;

    fn process(&mut self, record: &u64, _cx: &mut impl ProcessContext<u64>) -> Outcome {
        match record {
            7 => Err(Unrecoverable::new("a record of version 7").into()),
            _ => Ok(()),
        }
    }
}

#[test]
fn source_that_cannot_go_on_from_the_checkpoint_of_another_fails_its_job() {
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    let env_of = || {
        let checkpoints = Checkpoints::on_request().to_storage(Arc::clone(&storage));
        Environment::new()
            .checkpoints(checkpoints)
            .restore(RestoreFrom::Latest)
    };
    let env = env_of();
    env.source("numbers", Collection::of([1, 2, 3]))
        .sink("nowhere", Discard::new());
    env.execute("numbers").expect("it finishes");
    let env = env_of();
    env.source("numbers", Sequence::new(0..10))
        .sink("nowhere", Discard::new());
    let error = not_restarted(env);
    assert!(error.contains("give the new source a uid"), "{error}");
}

#[test]
fn job_that_starts_anew_never_goes_on_from_what_an_earlier_run_has_left() {
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    let mut expected: Vec<[u64; 2]> = (0..10)
        .flat_map(|key| (1..=100).map(move |n| [key, n]))
        .collect();
    expected.sort_unstable();
    for fails in [false, true] {
        let ledger = Ledger::default();
        let failures = Arc::new(AtomicU32::new(u32::from(!fails)));
        let env = Environment::new()
            .parallelism(2)
            .restart(RestartStrategy::fixed(3, Duration::from_millis(1)))
            .checkpoints(Checkpoints::on_request().to_storage(Arc::clone(&storage)));
        env.source("numbers", Sequence::new(0..1_000))
            .map(move |n| {
                // Before this run has taken its own checkpoint.
                assert!(
                    *n != 999 || failures.fetch_add(1, Ordering::Relaxed) > 0,
                    "the last one"
                );
                *n
            })
            .key_by(|n| n % 10)
            .aggregate_with(Count, |key, count| [*key, count])
            .uid("counts")
            .sink("ledger", ledger.clone());
        env.execute("counts").expect("it finishes");
        assert!(ledger.rows() == expected, "fails: {fails}");
    }
}

#[test]
fn job_that_starts_anew_and_is_cancelled_deletes_its_own_checkpoints_only() {
    let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
    let job = |restore, checkpoints: u32| {
        let kept = Checkpoints::on_request().to_storage(Arc::clone(&storage));
        let env = Environment::new()
            .checkpoints(kept.on_cancellation(Retention::DeleteOnCancellation))
            .restore(restore);
        env.source("numbers", Generator::new(|n| n).rate(1_000))
            .sink("nowhere", Discard::new());
        let job = env.spawn("numbers").expect("it starts");
        for _ in 0..checkpoints {
            job.checkpoint().expect("it is complete");
        }
        job
    };
    let manifests = || {
        let names = storage.list().expect("readable");
        names
            .iter()
            .filter(|name| name.starts_with("manifest"))
            .count()
    };
    let stopped = tempfile::tempdir().expect("a directory");
    let earlier = job(RestoreFrom::Nothing, 1);
    earlier.stop(stopped.path()).expect("it stops");
    earlier.wait().expect("it has stopped");
    let before = manifests();
    assert!(before > 0);
    for (restore, left) in [(RestoreFrom::Nothing, before), (RestoreFrom::Latest, 0)] {
        let cancelled = job(restore, 0);
        cancelled.cancel();
        cancelled.wait().expect_err("it is cancelled");
        assert_eq!(manifests(), left);
    }
}

#[test]
fn cancelled_job_that_deletes_its_checkpoints_leaves_no_file() {
    for round in 0..40 {
        let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
        let checkpoints = Checkpoints::every(Duration::from_millis(1))
            .to_storage(Arc::clone(&storage))
            .on_cancellation(Retention::DeleteOnCancellation);
        let env = Environment::new().checkpoints(checkpoints);
        env.source("numbers", Generator::new(|n| n).rate(100_000))
            .key_by(|n| n % 1_000)
            .aggregate(Count)
            .uid("counts")
            .sink("nowhere", Discard::new());
        let job = env.spawn("numbers").expect("it starts");
        std::thread::sleep(Duration::from_micros(400 * round));
        job.cancel();
        job.wait().expect_err("it is cancelled");
        let left = storage.list().expect("readable");
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
}
