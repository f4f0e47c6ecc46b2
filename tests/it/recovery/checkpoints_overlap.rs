//! Several concurrent checkpoints, some of which are aborted, lose and duplicate nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use thalweg::checkpoint::{HeapStorage, Storage};
use thalweg::connectors::SequenceReader;
use thalweg::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};
use thalweg::prelude::*;
use thalweg::runtime::CheckpointEvent;

use super::killed::{run_killed, xorshift};
use super::ledger::Ledger;

const NUMBERS: u64 = 1_500;
const KEYS: u64 = 7;

/// A sequence whose readers sometimes decline a checkpoint.
#[derive(Clone)]
struct Reluctant {
    numbers: Sequence,
    random: Arc<AtomicU64>,
}

struct ReluctantReader {
    numbers: SequenceReader,
    random: Arc<AtomicU64>,
}

impl Source for Reluctant {
    type Out = u64;
    type Reader = ReluctantReader;

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn reader(&self, index: u32, parallelism: u32) -> ReluctantReader {
        ReluctantReader {
            numbers: self.numbers.reader(index, parallelism),
            random: Arc::clone(&self.random),
        }
    }
}

impl SourceReader for ReluctantReader {
    type Out = u64;

    fn poll<D: Push<u64>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        self.numbers.poll(out)
    }

    fn position(&mut self, checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        let mut random = self.random.load(Ordering::Relaxed);
        let refuses = xorshift(&mut random).is_multiple_of(9);
        self.random.store(random, Ordering::Relaxed);
        if refuses {
            return Err("not now".into());
        }
        self.numbers.position(checkpoint, positions)
    }

    fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        self.numbers.seek(positions, readers)
    }
}

/// Counts the records of both inputs by key.
#[derive(Clone, Default)]
struct Counts(ValueState<u64>);

impl Counts {
    fn add(&self, cx: &mut impl KeyedProcessContext<u64, [u64; 2]>) -> Outcome {
        let count = self.0.value(cx).unwrap_or(0) + 1;
        self.0.set(cx, count);
        let row = [*cx.key(), count];
        cx.emit(&row);
        Ok(())
    }
}

impl KeyedCoProcessFunction<u64, u64, u64> for Counts {
    type Out = [u64; 2];

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.0 = cx.state().value_state("count")?;
        Ok(())
    }

    fn process_first(
        &mut self,
        _: &u64,
        cx: &mut impl KeyedProcessContext<u64, [u64; 2]>,
    ) -> Outcome {
        self.add(cx)
    }

    fn process_second(
        &mut self,
        _: &u64,
        cx: &mut impl KeyedProcessContext<u64, [u64; 2]>,
    ) -> Outcome {
        self.add(cx)
    }
}

/// Where the inputs of the job meet.
#[derive(Clone, Copy, Debug)]
enum Meeting {
    /// In the subtasks of the sources.
    Union,
    /// After rings from all of them.
    Connect,
}

/// The outcomes of the checkpoints of all runs.
#[derive(Clone, Default)]
struct Fates {
    completed: Arc<Mutex<u64>>,
    failed: Arc<Mutex<u64>>,
}

impl Fates {
    fn note(&self, event: &CheckpointEvent) {
        let fate = match event {
            CheckpointEvent::Completed { .. } => &self.completed,
            CheckpointEvent::Failed { .. } => &self.failed,
            _ => return,
        };
        *fate.lock().expect("nobody panics") += 1;
    }
}

/// Counts by key of two identical sequences, into a ledger: the rows do not depend on the order.
fn counts(
    meeting: Meeting,
    parallelism: u32,
    random: u64,
    (storage, ledger, fates): (&Arc<dyn Storage>, &Ledger, &Fates),
) -> Environment {
    let fates = fates.clone();
    let checkpoints = Checkpoints::on_request()
        .max_concurrent(3)
        .tolerable_failures(u32::MAX)
        .to_storage(Arc::clone(storage))
        .observed_by(move |event| fates.note(event));
    let env = Environment::new()
        .parallelism(parallelism)
        .ring_capacity(1024)
        .checkpoints(checkpoints)
        .restore(RestoreFrom::Latest);
    let source = Reluctant {
        numbers: Sequence::new(0..NUMBERS),
        random: Arc::new(AtomicU64::new(random)),
    };
    let left = env.source("left", source.clone());
    let right = env.source("right", source);
    match meeting {
        Meeting::Union => left
            .union(right)
            .key_by(|n| n % KEYS)
            .aggregate_with(Count, |key, count| [*key, count])
            .uid("counts")
            .sink("ledger", ledger.clone()),
        Meeting::Connect => left
            .key_by(|n| n % KEYS)
            .connect(right.key_by(|n| n % KEYS))
            .process(Counts::default())
            .uid("counts")
            .sink("ledger", ledger.clone()),
    };
    env
}

fn expected() -> Vec<[u64; 2]> {
    let of_key = |key: u64| (1..=2 * (NUMBERS - key).div_ceil(KEYS)).map(move |n| [key, n]);
    (0..KEYS).flat_map(of_key).collect()
}

#[test]
fn checkpoints_that_overlap_and_are_given_up_lose_and_double_nothing() {
    let expected = expected();
    let fates = Fates::default();
    for seed in 1..40u64 {
        let meeting = [Meeting::Union, Meeting::Connect][(seed % 2) as usize];
        let storage: Arc<dyn Storage> = Arc::new(HeapStorage::new());
        let ledger = Ledger::default();
        run_killed(seed, &[1, 2, 3], 3, |parallelism, random| {
            counts(meeting, parallelism, random, (&storage, &ledger, &fates))
        });
        assert!(ledger.rows() == expected, "seed {seed}, {meeting:?}");
    }
    let [completed, failed] = [fates.completed, fates.failed].map(|fate| *fate.lock().unwrap());
    assert!(
        completed > 300 && failed > 300,
        "{completed} complete, {failed} given up"
    );
}
