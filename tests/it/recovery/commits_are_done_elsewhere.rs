//! Commits wait for disks and databases, so they run on a separate thread: in order, all of them before the job ends,
//! and with errors that fail it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use thalweg::checkpoint::HeapStorage;
use thalweg::connectors::{Transactional, TwoPhaseCommit, Work, durable_inlet_in};
use thalweg::operator::BoxError;
use thalweg::prelude::*;
use thalweg::runtime::RestartStrategy;

const NUMBERS: u64 = 20_000;

/// What was committed, on which threads, and how many more commits are to fail.
#[derive(Default)]
struct Outside {
    committed: Vec<(u64, Vec<u64>)>,
    threads: Vec<String>,
    failures: u32,
    /// How many more preparations are to panic.
    panics: u32,
    /// How many more preparations are to fail.
    refusals: u32,
    written: u64,
}

/// A slow target.
#[derive(Clone, Default)]
struct Target(Arc<Mutex<Outside>>);

fn encode(checkpoint: u64, numbers: &[u64]) -> Vec<u8> {
    let all = std::iter::once(&checkpoint).chain(numbers);
    all.flat_map(|number| number.to_le_bytes()).collect()
}

impl Target {
    fn commit(&self, handle: &[u8]) -> Outcome {
        std::thread::sleep(Duration::from_millis(3));
        let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let mut numbers = handle.as_chunks::<8>().0.iter().map(number);
        let checkpoint = numbers.next().ok_or("no checkpoint")?;
        let mut outside = self.0.lock().expect("nobody panics");
        let thread = std::thread::current().name().unwrap_or("").to_owned();
        outside.threads.push(thread);
        if outside
            .committed
            .iter()
            .any(|(known, _)| *known == checkpoint)
        {
            return Ok(());
        }
        if outside.failures > 0 && checkpoint > 1 {
            outside.failures -= 1;
            drop(outside);
            // Until then a savepoint is complete.
            std::thread::sleep(Duration::from_millis(300));
            return Err("the target is away".into());
        }
        outside.committed.push((checkpoint, numbers.collect()));
        Ok(())
    }
}

impl TwoPhaseCommit<u64> for Target {
    type Transaction = Vec<u64>;

    fn begin(&mut self) -> Result<Vec<u64>, BoxError> {
        Ok(Vec::new())
    }

    fn write(&mut self, numbers: &mut Vec<u64>, number: &u64, _at: Timestamp) -> Outcome {
        numbers.push(*number);
        self.0.lock().expect("nobody panics").written += 1;
        Ok(())
    }

    fn pre_commit(
        &mut self,
        numbers: Vec<u64>,
        checkpoint: u64,
    ) -> Result<Option<Vec<u8>>, BoxError> {
        Ok((!numbers.is_empty()).then(|| encode(checkpoint, &numbers)))
    }

    fn before_any_completion(&mut self) -> Result<Option<Work>, BoxError> {
        let target = self.clone();
        Ok(Some(Box::new(move || {
            let mut outside = target.0.lock().expect("nobody panics with it");
            let (panics, refuses) = (outside.panics > 0, outside.refusals > 0);
            outside.panics = outside.panics.saturating_sub(1);
            outside.refusals = outside.refusals.saturating_sub(1);
            drop(outside);
            if refuses {
                return Err("the target is full".into());
            }
            assert!(!panics, "the target is gone");
            Ok(())
        })))
    }

    fn commit(&mut self, handle: &[u8]) -> Result<Work, BoxError> {
        let (target, handle) = (self.clone(), handle.to_vec());
        Ok(Box::new(move || Target::commit(&target, &handle)))
    }

    fn abort(&mut self, _numbers: Vec<u64>) -> Outcome {
        Ok(())
    }
}

/// Runs a job whose target fails `failures` times.
fn run(failures: u32) -> Outside {
    let target = Target::default();
    target.0.lock().expect("nobody panics").failures = failures;
    let env = Environment::new()
        .checkpoints(
            Checkpoints::every(Duration::from_millis(1)).to_storage(Arc::new(HeapStorage::new())),
        )
        .restart(RestartStrategy::fixed(failures, Duration::ZERO));
    let made = target.clone();
    env.source(
        "numbers",
        Generator::new(|n| n).rate(200_000).count(NUMBERS),
    )
    .sink("slow", Transactional::new(move |_, _| made.clone()));
    env.execute("numbers").expect("it finishes");
    std::mem::take(&mut *target.0.lock().expect("nobody panics"))
}

fn is_in_order(outside: &Outside) -> bool {
    let committed = &outside.committed;
    committed.is_sorted_by_key(|(checkpoint, _)| *checkpoint)
}

fn assert_once(outside: &mut Outside) {
    outside.committed.sort();
    let numbers = outside.committed.iter().flat_map(|(_, numbers)| numbers);
    assert!(numbers.copied().eq(0..NUMBERS), "when the job has ended");
}

#[test]
fn commits_are_done_in_order_on_no_worker_and_before_the_job_ends() {
    let mut outside = run(0);
    assert!(is_in_order(&outside));
    assert_once(&mut outside);
    assert!(outside.committed.len() > 2);
    let elsewhere = |thread: &String| thread == "thalweg-commits";
    assert!(
        outside.threads.iter().all(elsewhere),
        "{:?}",
        outside.threads
    );
}

#[test]
fn commit_that_fails_fails_the_job_which_commits_when_it_goes_on() {
    let mut outside = run(2);
    assert_eq!(outside.failures, 0);
    // Those behind one that fails are tried before it is tried again.
    assert_once(&mut outside);
}

#[test]
fn commit_that_fails_while_nothing_arrives_fails_the_job_soon() {
    let target = Target::default();
    target.0.lock().expect("nobody panics").failures = 1;
    let log = Arc::new(HeapStorage::new());
    let (mut numbers, source) = durable_inlet_in::<u64>(log).expect("it opens");
    let kept = Arc::new(HeapStorage::new());
    let env = Environment::new()
        .wait_strategy(WaitStrategy::Park)
        .checkpoints(Checkpoints::on_request().to_storage(kept))
        .restart(RestartStrategy::None);
    let made = target.clone();
    env.source("numbers", source)
        .sink("slow", Transactional::new(move |_, _| made.clone()));
    let job = env.spawn("numbers").expect("it starts");
    for number in 1..=2 {
        numbers.push(&number).expect("it is taken");
        numbers.sync().expect("it is kept");
        while target.0.lock().expect("nobody panics").written < number {
            std::thread::sleep(Duration::from_millis(1));
        }
        // The second commit fails, and from then on nothing arrives: no record and no barrier.
        job.checkpoint().expect("it is complete");
    }
    let waited = Instant::now();
    while !job.status().is_terminal() && waited.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(job.status().is_terminal(), "it has not failed");
    let error = job.wait().expect_err("it has failed");
    assert!(format!("{error:?}").contains("the target is away"));
}

#[test]
fn job_whose_last_commit_fails_has_not_been_stopped() {
    let target = Target::default();
    let env = Environment::new()
        .checkpoints(Checkpoints::on_request().to_storage(Arc::new(HeapStorage::new())))
        .restart(RestartStrategy::None);
    let made = target.clone();
    env.source("numbers", Generator::new(|n| n).rate(10_000))
        .sink("slow", Transactional::new(move |_, _| made.clone()));
    let job = env.spawn("numbers").expect("it starts");
    job.checkpoint().expect("it is complete");
    target.0.lock().expect("nobody panics").failures = 1;
    let directory = tempfile::tempdir().expect("a directory");
    let error = job.stop(directory.path()).expect_err("the commit fails");
    assert!(
        error.to_string().contains("failed while it ended"),
        "{error}"
    );
    job.wait().expect_err("it has failed");
}

#[test]
fn error_or_panic_before_a_checkpoint_is_complete_fails_that_checkpoint_and_is_its_reason() {
    let target = Target::default();
    target.0.lock().expect("nobody panics").refusals = 1;
    let env = Environment::new().checkpoints(
        Checkpoints::on_request()
            .tolerable_failures(10)
            .to_storage(Arc::new(HeapStorage::new())),
    );
    let made = target.clone();
    env.source("numbers", Generator::new(|n| n).rate(10_000))
        .sink("slow", Transactional::new(move |_, _| made.clone()));
    let job = env.spawn("numbers").expect("it starts");
    let error = job.checkpoint().expect_err("the target refuses");
    let reason = "operator `slow`: the target is full";
    assert!(error.to_string().contains(reason), "{error}");
    target.0.lock().expect("nobody panics").panics = 1;
    let error = job.checkpoint().expect_err("the target panics");
    assert!(error.to_string().contains("the target is gone"), "{error}");
    job.checkpoint().expect("the next one is complete");
    job.cancel();
    job.wait().expect_err("it is cancelled");
}
