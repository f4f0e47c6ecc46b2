//! Unaligned checkpoints: they complete while no records move, and records in flight are neither lost nor duplicated.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thalweg::checkpoint::{CheckpointStore, Loss, SimulatedStorage, Storage, StoreOptions};
use thalweg::prelude::*;
use thalweg::record::View;
use thalweg::runtime::{Step, Stepper};
use thalweg::state::StateKind;

use super::stalled::Stalled;

const NUMBERS: u64 = 6_000;
const KEYS: u64 = 7;

/// The kind of records in the rings.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Fixed length, in runs.
    Numbers,
    /// Fixed length, in runs with timestamps, interspersed with watermarks.
    Timed,
    /// Variable length, some of them in runs.
    Text,
    /// Variable length, with timestamps, interspersed with watermarks.
    TimedText,
    /// Archives, in runs.
    Archived,
}

impl Shape {
    const ALL: [Shape; 5] = [
        Shape::Numbers,
        Shape::Timed,
        Shape::Text,
        Shape::TimedText,
        Shape::Archived,
    ];

    /// The size of a ring in bytes: room for a few runs, some of which stay in the ring when a part has been read.
    fn ring_capacity(self) -> usize {
        match self {
            Shape::Numbers | Shape::Timed => 1024,
            Shape::Text | Shape::TimedText | Shape::Archived => 4096,
        }
    }
}

/// A text that encodes its key: empty, or with leading spaces.
fn text(n: u64) -> String {
    match n % KEYS {
        0 => String::new(),
        key => format!("{key:>width$}", width = 1 + n as usize % 40),
    }
}

/// The key that a text encodes.
fn key(text: &str) -> u64 {
    text.trim_start().parse().unwrap_or(0)
}

fn job(
    shape: Shape,
    parallelism: u32,
    checkpoints: Checkpoints,
    (disk, sink): (&SimulatedStorage, &Stalled),
    clock: &ManualClock,
) -> Stepper {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let env = Environment::new()
        .parallelism(parallelism)
        .ring_capacity(shape.ring_capacity())
        .checkpoints(checkpoints.to_storage(storage))
        .restore(RestoreFrom::Latest);
    let numbers = env.source("numbers", Sequence::new(0..NUMBERS));
    // For any keyed stream: each has its own type.
    macro_rules! count {
        ($keyed:expr) => {
            $keyed
                .aggregate_with(Count, |key, count| [*key, count])
                .uid("counts")
                .rebalance()
                .sink("stalled", sink.clone())
        };
    }
    let timed = |n: &u64| Timestamp(*n as i64);
    match shape {
        Shape::Numbers => count!(numbers.rebalance().key_by(|n| n % KEYS)),
        Shape::Timed => {
            let numbers = numbers.timestamps(Monotonous, timed);
            count!(numbers.key_by(|n| n % KEYS))
        }
        Shape::Text => count!(numbers.map(|n| text(*n)).key_by(key)),
        Shape::TimedText => {
            let numbers = numbers.timestamps(Monotonous, timed);
            count!(numbers.map(|n| text(*n)).key_by(key))
        }
        Shape::Archived => {
            let pairs = numbers.map(|n| (n % KEYS, *n));
            count!(pairs.key_by(|pair: &View<(u64, u64)>| pair.0.to_native()))
        }
    };
    env.stepper("counts", clock.clone())
        .expect("a job")
        .batch(64)
}

fn expected() -> Vec<[u64; 2]> {
    let of_key = |key: u64| (1..=(NUMBERS - key).div_ceil(KEYS)).map(move |n| [key, n]);
    (0..KEYS).flat_map(of_key).collect()
}

/// Whether the newest checkpoint contains records in flight.
fn has_in_flight(disk: &SimulatedStorage) -> bool {
    let disk = disk.power_loss(Loss::None);
    let store = CheckpointStore::open(Arc::new(disk), StoreOptions::default());
    let newest = store.expect("a store").restore_newest();
    let restored = newest.expect("it is whole").expect("a checkpoint");
    let operators = restored.operators();
    let mut states = operators
        .iter()
        .flat_map(|operator| restored.states(operator));
    states.any(|state| state.kind == StateKind::InFlight)
}

/// Takes a checkpoint of a stalled job, and returns the disk that contains it.
fn checkpoint_of_stalled(
    shape: Shape,
    checkpoints: Checkpoints,
    sink: &Stalled,
) -> SimulatedStorage {
    let (disk, clock) = (SimulatedStorage::new(1), ManualClock::new(Timestamp(0)));
    let mut job = job(shape, 2, checkpoints, (&disk, sink), &clock);
    assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    job.checkpoint();
    assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    if job.completed_checkpoint().is_none() {
        clock.advance(Duration::from_secs(2));
        assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    }
    assert_eq!(job.completed_checkpoint(), Some(1), "{shape:?}: {job:?}");
    assert!(has_in_flight(&disk), "{shape:?}");
    disk
}

#[test]
fn unaligned_checkpoint_of_a_job_that_is_stalled_completes_and_loses_and_doubles_nothing() {
    let unaligned = || Checkpoints::on_request().unaligned();
    for shape in Shape::ALL {
        for checkpoints in [
            unaligned(),
            Checkpoints::on_request().unaligned_after(Duration::from_secs(1)),
        ] {
            let stalled = Stalled::default();
            let disk = checkpoint_of_stalled(shape, checkpoints, &stalled);
            for parallelism in [1, 2, 3, 8] {
                let sink = Stalled::default();
                // Records that were in flight are still in flight in a second checkpoint.
                let disk = disk.power_loss(Loss::None);
                let clock = ManualClock::new(Timestamp(0));
                let mut again = job(shape, parallelism, unaligned(), (&disk, &sink), &clock);
                again.step().expect("a step");
                again.checkpoint();
                again.run().expect("it is stalled");
                drop(again);
                let disk = disk.power_loss(Loss::None);
                let parallelism = 1 + parallelism % 3;
                sink.open.store(true, Ordering::Relaxed);
                let mut last = job(shape, parallelism, unaligned(), (&disk, &sink), &clock);
                assert_eq!(last.run().expect("it finishes"), Step::Finished);
                let rows = sink.ledger.rows();
                assert!(
                    rows == expected(),
                    "{shape:?} × {parallelism}: {} rows",
                    rows.len()
                );
            }
        }
    }
}

#[test]
fn aligned_checkpoint_of_a_job_that_is_stalled_waits_until_it_gets_on() {
    let (disk, clock) = (SimulatedStorage::new(1), ManualClock::new(Timestamp(0)));
    let sink = Stalled::default();
    let aligned = Checkpoints::on_request();
    let mut job = job(Shape::Numbers, 2, aligned, (&disk, &sink), &clock);
    assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    job.checkpoint();
    assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    assert_eq!(job.completed_checkpoint(), None);
    sink.open.store(true, Ordering::Relaxed);
    assert_eq!(job.run().expect("it finishes"), Step::Finished);
    assert!(sink.ledger.rows() == expected());
}

#[test]
fn savepoint_never_has_anything_that_was_on_its_way() {
    let (disk, clock) = (SimulatedStorage::new(1), ManualClock::new(Timestamp(0)));
    let sink = Stalled::default();
    let unaligned = Checkpoints::on_request().unaligned();
    let mut job = job(Shape::Numbers, 2, unaligned, (&disk, &sink), &clock);
    assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    let target = SimulatedStorage::new(2);
    job.savepoint(Arc::new(target.clone()));
    assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    sink.open.store(true, Ordering::Relaxed);
    assert_eq!(job.run().expect("it finishes"), Step::Finished);
    assert!(!has_in_flight(&target));
}
