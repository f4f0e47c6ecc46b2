//! Savepoints: a job resumes from one at any parallelism, whether it was stopped or kept running.

use std::sync::Arc;

use thalweg::checkpoint::{HeapStorage, Storage};
use thalweg::prelude::*;
use thalweg::record::KeyGroupAssignment;

use super::ledger::Ledger;

const NUMBERS: u64 = 200_000;

fn counts(parallelism: u32, storage: &Arc<dyn Storage>, ledger: &Ledger) -> Environment {
    let env = Environment::new()
        .parallelism(parallelism)
        .checkpoints(Checkpoints::on_request().to_storage(Arc::clone(storage)));
    env.source(
        "numbers",
        Generator::new(|n| n).rate(400_000).count(NUMBERS),
    )
    .key_by(|n| n % 10)
    .aggregate_with(Count, |key, count| [*key, count])
    .uid("counts")
    .sink("ledger", ledger.clone());
    env
}

fn expected() -> Vec<[u64; 2]> {
    let mut rows: Vec<[u64; 2]> = (0..10)
        .flat_map(|key| (1..=NUMBERS / 10).map(move |n| [key, n]))
        .collect();
    rows.sort_unstable();
    rows
}

fn heap() -> Arc<dyn Storage> {
    Arc::new(HeapStorage::new())
}

#[test]
fn stopped_job_goes_on_at_another_parallelism_where_it_stopped() {
    let ledger = Ledger::default();
    let directory = tempfile::tempdir().expect("a directory");
    let first = directory.path().join("first");
    let job = counts(2, &heap(), &ledger).spawn("counts").expect("a job");
    job.stop(&first).expect("a savepoint");
    assert_eq!(
        job.wait().expect("it finishes").records(),
        ledger.rows().len() as u64
    );
    assert!(ledger.rows().len() < NUMBERS as usize);

    let second = directory.path().join("second");
    let env = counts(3, &heap(), &ledger).restore(RestoreFrom::Path(first));
    let job = env.spawn("counts").expect("a job");
    job.stop(&second).expect("a savepoint");
    job.wait().expect("it finishes");

    let env = counts(1, &heap(), &ledger).restore(RestoreFrom::Path(second));
    env.execute("counts").expect("it finishes");
    assert!(ledger.rows() == expected());
}

#[test]
fn operators_without_state_come_and_go_between_a_savepoint_and_its_restore() {
    let ledger = Ledger::default();
    let directory = tempfile::tempdir().expect("a directory");
    let job = counts(2, &heap(), &ledger).spawn("counts").expect("a job");
    job.stop(directory.path()).expect("a savepoint");
    job.wait().expect("it finishes");
    let env = Environment::new()
        .parallelism(2)
        .checkpoints(Checkpoints::on_request().to_storage(heap()))
        .restore(RestoreFrom::Path(directory.path().into()));
    env.source(
        "numbers",
        Generator::new(|n| n).rate(400_000).count(NUMBERS),
    )
    .filter(|n| *n < NUMBERS)
    .map(|n| *n)
    .key_by(|n| n % 10)
    .aggregate_with(Count, |key, count| [*key, count])
    .uid("counts")
    .map(|row| *row)
    .sink("ledger", ledger.clone());
    env.execute("counts").expect("it finishes");
    assert!(ledger.rows() == expected());
}

#[test]
fn sink_that_keeps_nothing_may_be_gone_behind_a_savepoint() {
    let ledger = Ledger::default();
    let directory = tempfile::tempdir().expect("a directory");
    let env = counts(2, &heap(), &ledger);
    env.source("more numbers", Generator::new(|n| n).rate(1_000))
        .sink("nowhere", Discard::new());
    let job = env.spawn("counts").expect("a job");
    job.stop(directory.path()).expect("a savepoint");
    job.wait().expect("it finishes");

    let env = counts(2, &heap(), &ledger);
    env.source("more numbers", Generator::new(|n| n).count(NUMBERS))
        .sink("elsewhere", Discard::new());
    let env = env.restore(RestoreFrom::Path(directory.path().into()));
    env.execute("counts").expect("it finishes");
    assert!(ledger.rows() == expected());
}

#[test]
fn state_that_no_operator_claims_is_dropped_only_if_that_is_allowed() {
    let storage: Arc<dyn Storage> = heap();
    let job_of = |uid: &str, checkpoints: Checkpoints| {
        let env = Environment::new().checkpoints(checkpoints);
        let totals = Collected::new();
        env.source("numbers", Sequence::new(0..100))
            .key_by(|_| 0)
            .aggregate_with(Count, |_, count| count)
            .uid(uid)
            .sink("totals", totals.sink());
        (env, totals)
    };
    let own = || Checkpoints::on_request().to_storage(heap());
    let clock = ManualClock::new(Timestamp(0));
    let (env, _) = job_of("old", own());
    let mut job = env.stepper("counts", clock).expect("a job").batch(60);
    job.step().expect("it counts");
    job.savepoint(Arc::clone(&storage));
    job.run().expect("it finishes");
    assert!(job.take_refusal().is_none());

    let (env, totals) = job_of("new", own());
    let env = env.restore(RestoreFrom::Storage(Arc::clone(&storage)));
    let error = env.execute("counts").expect_err("`old` has nowhere to go");
    assert!(error.to_string().contains("`old`"), "{error}");
    let env = env.allow_non_restored_state(true);
    env.execute("counts").expect("it finishes");
    let counted = totals.take();
    assert!((1..100).contains(&counted.len()), "the source goes on");
    assert_eq!(counted[0], 1, "and the count begins anew");
}

#[test]
fn state_of_another_type_is_refused_by_name() {
    let ledger = Ledger::default();
    let directory = tempfile::tempdir().expect("a directory");
    let job = counts(1, &heap(), &ledger).spawn("counts").expect("a job");
    job.stop(directory.path()).expect("a savepoint");
    job.wait().expect("it finishes");
    let env = Environment::new()
        .checkpoints(Checkpoints::on_request().to_storage(heap()))
        .restore(RestoreFrom::Path(directory.path().into()));
    env.source("numbers", Generator::new(|n| n).count(NUMBERS))
        .key_by(|n| n % 10)
        .aggregate_with(Sum::of(|n: &u64| *n as u32), |key, sum| {
            [*key, u64::from(sum)]
        })
        .uid("counts")
        .sink("ledger", ledger.clone());
    let error = env
        .execute("counts")
        .expect_err("sums are no counts")
        .to_string();
    for part in ["counts", "u64", "u32", "migration"] {
        assert!(error.contains(part), "{part} in: {error}");
    }
}

/// The error of restoring a savepoint with 128 key groups in `env`, if there is one.
fn refused(adapt: impl FnOnce(Environment) -> Environment, parallelism: u32) -> Option<String> {
    let ledger = Ledger::default();
    let directory = tempfile::tempdir().expect("a directory");
    let job = counts(1, &heap(), &ledger).spawn("counts").expect("a job");
    job.stop(directory.path()).expect("a savepoint");
    job.wait().expect("it finishes");
    let env = counts(parallelism, &heap(), &ledger);
    let env = adapt(env.restore(RestoreFrom::Path(directory.path().into())));
    let ended = env.execute("counts");
    if ended.is_ok() {
        assert!(ledger.rows() == expected());
    }
    ended.err().map(|error| error.to_string())
}

#[test]
fn key_groups_of_a_savepoint_are_adopted_up_to_one_for_each_subtask() {
    assert_eq!(refused(|env| env, 128), None);
    let error = refused(|env| env, 129).expect("a subtask would own no key group");
    for part in ["128 key groups", "parallelism of 129", "at most 128"] {
        assert!(error.contains(part), "{part} in: {error}");
    }
}

#[test]
fn savepoint_of_other_key_groups_than_the_job_wants_is_refused() {
    assert_eq!(refused(|env| env.max_parallelism(128), 2), None);
    let error = refused(|env| env.max_parallelism(256), 2).expect("key groups cannot be cut anew");
    for part in ["128 key groups", "the job 256", "max_parallelism(128)"] {
        assert!(error.contains(part), "{part} in: {error}");
    }
}

#[test]
fn savepoint_of_keys_in_other_key_groups_is_refused() {
    let error = refused(|env| env.key_groups(KeyGroupAssignment::Flink), 2);
    let error = error.expect("keys would be looked for where they are not");
    for part in ["KeyGroupAssignment::Hash", "`Flink`"] {
        assert!(error.contains(part), "{part} in: {error}");
    }
}

#[test]
fn savepoints_that_are_asked_for_at_once_are_there_when_they_are_answered() {
    let ledger = Ledger::default();
    let directory = tempfile::tempdir().expect("a directory");
    let job = counts(2, &heap(), &ledger).spawn("counts").expect("a job");
    std::thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let (job, path) = (&job, directory.path().join(name));
            scope.spawn(move || {
                job.savepoint(&path).expect("a savepoint");
                let restored = counts(1, &heap(), &Ledger::default())
                    .restore(RestoreFrom::Path(path))
                    .stepper("counts", ManualClock::new(Timestamp(0)));
                assert!(restored.is_ok(), "{name}");
            });
        }
    });
    job.cancel();
}

#[test]
fn sinks_of_one_name_are_refused_where_there_are_checkpoints() {
    let env = Environment::new().checkpoints(Checkpoints::on_request().to_storage(heap()));
    for numbers in ["even", "odd"] {
        env.source(numbers, Sequence::new(0..10))
            .sink("print", Discard::new());
    }
    let error = env
        .execute("numbers")
        .expect_err("one would take the other's");
    for part in ["`print`", "another name", "uid"] {
        assert!(error.to_string().contains(part), "{part} in: {error}");
    }
}

#[test]
fn drained_job_has_ended_its_input_and_committed_everything() {
    let ledger = Ledger::default();
    let directory = tempfile::tempdir().expect("a directory");
    let job = counts(2, &heap(), &ledger).spawn("counts").expect("a job");
    job.drain(directory.path()).expect("a savepoint");
    let result = job.wait().expect("it finishes");
    assert_eq!(result.records(), ledger.rows().len() as u64);
}

#[test]
fn job_without_checkpoints_says_what_a_savepoint_needs() {
    let env = Environment::new();
    env.source("numbers", Generator::new(|n| n).rate(1_000))
        .sink("nowhere", Discard::new());
    let job = env.spawn("numbers").expect("a job");
    let directory = tempfile::tempdir().expect("a directory");
    let error = job
        .savepoint(directory.path())
        .expect_err("there are no checkpoints");
    assert!(error.to_string().contains(".checkpoints("), "{error}");
}

#[test]
fn stateful_operator_without_uid_is_refused_where_there_are_checkpoints() {
    let env = Environment::new().checkpoints(Checkpoints::on_request().to_storage(heap()));
    env.source("numbers", Sequence::new(0..10))
        .key_by(|n| n % 10)
        .aggregate_with(Count, |key, count| [*key, count])
        .sink("nowhere", Discard::new());
    let error = env.execute("counts").expect_err("no uid");
    assert!(error.to_string().contains("uid"), "{error}");
}

#[test]
fn a_savepoint_is_complete_though_newer_checkpoints_take_its_place_in_the_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let env = Environment::new().checkpoints(
        Checkpoints::every(millis(1))
            .to_storage(heap())
            .retained(1)
            .max_concurrent(2)
            .tolerable_failures(u32::MAX),
    );
    env.source("numbers", Generator::new(|n| n).rate(10_000))
        .key_by(|n| n % 7)
        .aggregate(Count)
        .uid("counts")
        .sink("nowhere", Discard::new());
    let job = env.spawn("counts").expect("a job");
    for number in 0..10 {
        let target = directory.path().join(number.to_string());
        job.savepoint(target).expect("a savepoint");
    }
}

#[test]
fn savepoint_that_is_refused_as_the_job_has_ended_is_not_there() {
    let job_of = |checkpoints: Checkpoints| {
        let env = Environment::new().checkpoints(checkpoints);
        env.source("numbers", Sequence::new(0..2_000))
            .key_by(|n| n % 7)
            .aggregate(Count)
            .uid("counts")
            .sink("nowhere", Discard::new());
        env
    };
    let directory = tempfile::tempdir().expect("a directory");
    let mut refused = 0;
    for number in 0..30 {
        let path = directory.path().join(number.to_string());
        let checkpoints = Checkpoints::on_request().to_storage(heap());
        let job = job_of(checkpoints.max_concurrent(2)).spawn("counts");
        let job = job.expect("a job");
        std::thread::sleep(std::time::Duration::from_micros(number * 100));
        let saved = job.savepoint(&path);
        job.wait().expect("it finishes");
        let restored = job_of(Checkpoints::on_request().to_storage(heap()))
            .restore(RestoreFrom::Path(path))
            .stepper("counts", ManualClock::new(Timestamp(0)));
        assert_eq!(saved.is_ok(), restored.is_ok(), "{number}: {saved:?}");
        refused += u64::from(saved.is_err());
    }
    assert!(refused < 30, "no savepoint was in time");
}

#[test]
fn job_is_stopped_or_drained_but_not_both() {
    for round in 0..20 {
        let (storage, ledger) = (heap(), Ledger::default());
        let directory = tempfile::tempdir().expect("a directory");
        let [stop, drain] = ["stop", "drain"].map(|name| directory.path().join(name));
        let job = counts(2, &storage, &ledger).spawn("counts").expect("a job");
        let (stopped, drained) = std::thread::scope(|scope| {
            let drained = scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_micros(round * 20));
                job.drain(&drain)
            });
            (job.stop(&stop), drained.join().expect("no panic"))
        });
        assert!(
            stopped.is_ok() ^ drained.is_ok(),
            "{stopped:?}, {drained:?}"
        );
        let refused = stopped.and(drained).expect_err("one of them").to_string();
        let reasons = ["already", "ended before", "has ended"];
        assert!(reasons.iter().any(|r| refused.contains(r)), "{refused}");
        job.wait().expect("it finishes");
    }
}
