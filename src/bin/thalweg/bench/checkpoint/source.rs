//! The source: emits every key once, then, when told to, changes as fast as possible for some time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thalweg::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};

use super::keys::{Addition, Keys};
use super::stops::Stops;

/// The number of records emitted at a time.
const BATCH: usize = 256;
/// How long a reader sleeps while it waits to be told to continue.
const WAIT_NANOS: i64 = 1_000_000;

/// The findings of a run, per reader.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The stops of the readers that have ended.
    pub(super) stops: Option<Stops>,
    /// When changes began and ended.
    pub(super) span: Option<(Instant, Instant)>,
    /// The number of changes emitted.
    pub(super) changes: u64,
    /// By reader: the end of the indices emitted, or the one in the checkpoint.
    pub(super) ends: Vec<u64>,
    /// When the first record had been processed.
    pub(super) first_record: Option<Instant>,
}

/// State shared by the readers and their driver.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The number of readers that have emitted every key once.
    pub(super) prefilled: AtomicU32,
    pub(super) go: AtomicBool,
    found: Mutex<Found>,
}

impl Shared {
    pub(super) fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The source.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) keys: Keys,
    pub(super) duration: Duration,
    pub(super) shared: Arc<Shared>,
}

impl Source for Changes {
    type Out = Addition;
    type Reader = ChangesReader;

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn reader(&self, index: u32, parallelism: u32) -> ChangesReader {
        self.shared.found().ends.resize(parallelism as usize, 0);
        ChangesReader {
            keys: self.keys,
            duration: self.duration,
            shared: Arc::clone(&self.shared),
            index,
            parallelism: u64::from(parallelism),
            phase: Phase::Prefill(u64::from(index)),
            next: u64::from(index),
            batch: [[0; 2]; BATCH],
            stops: Stops::new(),
        }
    }
}

/// What a reader is currently doing.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Emits each of its own keys once; this one is next.
    Prefill(u64),
    Waiting,
    /// Emits changes, starting at this moment.
    Changing(Instant),
    /// After a restore: emits each of its own keys once more; this one is next.
    Restored(u64),
}

/// Emits the records of one subtask.
#[derive(Debug)]
pub(super) struct ChangesReader {
    keys: Keys,
    duration: Duration,
    shared: Arc<Shared>,
    index: u32,
    parallelism: u64,
    phase: Phase,
    /// The index of the next change.
    next: u64,
    batch: [Addition; BATCH],
    stops: Stops,
}

impl ChangesReader {
    /// Emits the reader's own keys from `key`; returns the next one.
    fn emit_keys<D: Push<Addition>>(&self, mut key: u64, out: &mut Collector<'_, D>) -> u64 {
        while key < self.keys.count && out.ready() {
            out.emit(&[key, 1]);
            key += self.parallelism;
        }
        key
    }

    fn emit_changes<D: Push<Addition>>(&mut self, out: &mut Collector<'_, D>) {
        while out.ready() {
            for (place, addition) in (0..).zip(&mut self.batch) {
                let key = self.keys.changed(self.next + place * self.parallelism);
                *addition = [key, 1];
            }
            let emitted = out.emit_slice(&self.batch) as u64;
            self.next += emitted * self.parallelism;
        }
    }

    fn end(&self, started: Instant, ended: Instant) {
        let mut found = self.shared.found();
        found.changes += (self.next - u64::from(self.index)) / self.parallelism;
        found.ends[self.index as usize] = self.next;
        let (first, last) = found.span.unwrap_or((started, ended));
        found.span = Some((first.min(started), last.max(ended)));
        match &mut found.stops {
            Some(stops) => stops.merge(&self.stops),
            None => found.stops = Some(self.stops.clone()),
        }
    }
}

impl SourceReader for ChangesReader {
    type Out = Addition;

    fn poll<D: Push<Addition>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError> {
        match self.phase {
            Phase::Prefill(key) => {
                let key = self.emit_keys(key, out);
                self.phase = Phase::Prefill(key);
                if key >= self.keys.count {
                    self.phase = Phase::Waiting;
                    self.shared.prefilled.fetch_add(1, Ordering::Release);
                }
            }
            Phase::Waiting => {
                if !self.shared.go.load(Ordering::Acquire) {
                    let until = out.now().saturating_add(WAIT_NANOS);
                    return Ok(SourceStatus::Idle(Some(until)));
                }
                self.phase = Phase::Changing(Instant::now());
            }
            Phase::Changing(started) => {
                let (begin, before) = (Instant::now(), self.next);
                self.emit_changes(out);
                let end = Instant::now();
                if self.next > before {
                    self.stops.note(begin, end);
                }
                if end - started >= self.duration {
                    self.end(started, end);
                    return Ok(SourceStatus::Finished);
                }
            }
            Phase::Restored(key) => {
                let next = self.emit_keys(key, out);
                if next > key {
                    let now = Instant::now();
                    self.shared.found().first_record.get_or_insert(now);
                }
                self.phase = Phase::Restored(next);
                if next >= self.keys.count {
                    return Ok(SourceStatus::Finished);
                }
            }
        }
        Ok(SourceStatus::More)
    }

    fn position(&mut self, _checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        let position = [u64::from(self.index), self.next].map(u64::to_le_bytes);
        positions.push(position.concat());
        Ok(())
    }

    fn seek(&mut self, positions: &[Vec<u8>], _readers: u32) -> Result<(), BoxError> {
        for position in positions {
            let (numbers, _) = position.as_chunks::<8>();
            let [index, next] = numbers else {
                return Err("a position is a reader and an index".into());
            };
            if u64::from_le_bytes(*index) == u64::from(self.index) {
                self.next = u64::from_le_bytes(*next);
            }
        }
        self.shared.found().ends[self.index as usize] = self.next;
        self.phase = Phase::Restored(u64::from(self.index));
        Ok(())
    }
}
