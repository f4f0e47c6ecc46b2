//! A stand-in for a job: what tests put downstream of a reader and around a writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::checkpoint::{CheckpointError, PieceRef, Pieces, Restored, SnapshotOutput, StateRef};
use crate::metrics::MetricGroup;
use crate::operator::{
    BoxError, Budget, Checkpointing, Collector, CommitTask, Committer, OpenContext, Operator,
    OperatorError, Outputs, Push, Signal, Source, SourceReader, SourceStatus, SubtaskInfo,
};
use crate::record::{KeyGroupAssignment, KeyHasher, MaxParallelism};
use crate::ring::Waker;
use crate::state::StateSchema;
use crate::time::{Clock, ManualClock, Timestamp};
use proptest::prelude::*;

/// A file called `name`, in a directory that is there as long as the handle is.
pub(super) fn file(name: &str, bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// The maximum number of records per poll.
const BUDGET: u32 = 256;

/// The records a tail received, converted, with timestamps.
type Log<T> = Arc<Mutex<Vec<(T, Timestamp)>>>;

/// The end of a chain: converts and stores what it receives.
pub(super) struct Tail<V: ?Sized, T> {
    convert: fn(&V) -> T,
    log: Log<T>,
    signals: Vec<Signal>,
    room: usize,
}

impl<V: ?Sized, T: Send> Operator for Tail<V, T> {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }
    fn begin(&mut self, _now: Timestamp) {}
    fn signal(&mut self, signal: Signal) {
        self.signals.push(signal);
    }
    fn ready(&self) -> bool {
        self.room > 0
    }
    fn resume(&mut self, _budget: &mut Budget) {}
    fn flush(&mut self) {}
    fn deadline(&self) -> Option<Timestamp> {
        None
    }
    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

impl<V: ?Sized, T: Send> Push<V> for Tail<V, T> {
    fn push(&mut self, record: &V, at: Timestamp) {
        assert!(self.room > 0, "pushed into a chain that is not ready");
        self.room -= 1;
        self.log.lock().unwrap().push(((self.convert)(record), at));
    }
}

/// A chain of one tail with a clock, which polls readers as a worker does.
pub(super) struct Chain<V: ?Sized, T> {
    outputs: Outputs<Tail<V, T>>,
    log: Log<T>,
    /// How many more records the chain accepts.
    pub(super) room: usize,
    /// The clock used for polling readers; starts at zero.
    pub(super) clock: ManualClock,
    /// The metrics of the readers that are opened.
    pub(super) metrics: MetricGroup,
    /// Wakes the thread that drives the chain.
    pub(super) waker: Option<Waker>,
}

impl<V: ?Sized + 'static, T: Clone + Send + 'static> Chain<V, T> {
    pub(super) fn new(convert: fn(&V) -> T) -> Self {
        let log = Log::default();
        let tail = Tail {
            convert,
            log: Arc::clone(&log),
            signals: Vec::new(),
            room: 0,
        };
        Chain {
            outputs: Outputs::new(tail),
            log,
            room: usize::MAX,
            clock: ManualClock::new(Timestamp(0)),
            metrics: MetricGroup::new(),
            waker: None,
        }
    }

    /// Collects a side output; its records can be read from the returned list.
    #[cfg(feature = "csv")]
    pub(super) fn take_side<S: Clone + Send + 'static>(
        &mut self,
        tag: &crate::operator::OutputTag<S>,
    ) -> Log<S> {
        let log = Log::default();
        let tail = Tail {
            convert: S::clone,
            log: Arc::clone(&log),
            signals: Vec::new(),
            room: usize::MAX,
        };
        self.outputs
            .sides
            .connect(Arc::clone(tag.name()), Box::new(tail));
        log
    }

    pub(super) fn cx(&self) -> OpenContext {
        let mut cx = open_context(0, 1);
        cx.clock = Clock::Manual(self.clock.clone());
        cx.metrics = self.metrics.clone();
        cx.waker = self.waker.clone();
        cx
    }

    pub(super) fn try_poll<R>(&mut self, reader: &mut R) -> Result<SourceStatus, BoxError>
    where
        R: SourceReader<Out = V>,
    {
        let mut budget = Budget::new(BUDGET);
        self.outputs.main.room = self.room;
        let mut out = Collector::new(&mut self.outputs, &mut budget, self.clock.now());
        let status = reader.poll(&mut out);
        self.room = self.outputs.main.room;
        status
    }

    pub(super) fn poll<R: SourceReader<Out = V>>(&mut self, reader: &mut R) -> SourceStatus {
        self.try_poll(reader).unwrap()
    }

    /// Opens the reader and polls it until it is finished or idle, or fails.
    pub(super) fn try_drain<R>(&mut self, reader: &mut R) -> Result<SourceStatus, BoxError>
    where
        R: SourceReader<Out = V>,
    {
        reader.open(&self.cx())?;
        loop {
            match self.try_poll(reader)? {
                SourceStatus::More => {}
                status => return Ok(status),
            }
        }
    }

    /// Opens the reader, polls it to its end and closes it.
    pub(super) fn drain<R: SourceReader<Out = V>>(&mut self, reader: &mut R) {
        assert_eq!(self.try_drain(reader).unwrap(), SourceStatus::Finished);
        reader.close().unwrap();
    }

    /// The records received so far.
    pub(super) fn values(&self) -> Vec<T> {
        let log = self.log.lock().unwrap();
        log.iter().map(|(value, _)| value.clone()).collect()
    }

    /// Removes and returns the records received so far, with their timestamps.
    pub(super) fn take(&mut self) -> Vec<(T, Timestamp)> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// The signals received so far.
    pub(super) fn signals(&self) -> &[Signal] {
        &self.outputs.main.signals
    }
}

/// The open context of subtask `index` of `parallelism` in a test.
pub(super) fn open_context(index: u32, parallelism: u32) -> OpenContext {
    let max = MaxParallelism::new(128).unwrap();
    OpenContext {
        subtask: SubtaskInfo {
            job: "test".into(),
            vertex: "connector".into(),
            index,
            parallelism,
            attempt: 0,
        },
        metrics: MetricGroup::new(),
        hasher: KeyHasher::new(KeyGroupAssignment::default(), max),
        key_groups: max.range(index, parallelism),
        waker: None,
        clock: Clock::default(),
        checkpointing: Checkpointing::default(),
    }
}

/// The attempts of a job: the parallelism of each, and how many records its readers emit before it is cut.
pub(super) fn cuts() -> impl Strategy<Value = Vec<(u32, Vec<usize>)>> {
    prop::collection::vec((1..9_u32, prop::collection::vec(0..60_usize, 8)), 1..5)
}

/// What a source emits, in order, in several attempts: each but the first resumes from the positions at which the
/// previous one was cut, and a last one reads to the end.
pub(super) fn emitted_in_attempts<S: Source, T>(
    source: &S,
    convert: fn(&S::Out) -> T,
    attempts: &[(u32, Vec<usize>)],
) -> Vec<T>
where
    T: Clone + Ord + Send + 'static,
{
    let mut chain = Chain::new(convert);
    let mut before: Option<(Vec<Vec<u8>>, u32)> = None;
    let last = (2, vec![usize::MAX; 2]);
    for (parallelism, rooms) in attempts.iter().chain([&last]) {
        let parallelism = (*parallelism).min(source.max_parallelism());
        match &before {
            Some((positions, _)) => source.resume(positions).unwrap(),
            None => source.start().unwrap(),
        }
        let mut readers: Vec<_> = (0..parallelism)
            .map(|i| source.reader(i, parallelism))
            .collect();
        for reader in &mut readers {
            if let Some((positions, old)) = &before {
                reader.seek(positions, *old).unwrap();
            }
            reader.open(&chain.cx()).unwrap();
        }
        // Each reader gets the barrier at its own time; readers after it keep reading.
        let mut positions = Vec::new();
        for (reader, room) in readers.iter_mut().zip(rooms) {
            chain.room = *room;
            while chain.room > 0 && chain.poll(reader) == SourceStatus::More {}
            reader.position(1, &mut positions).unwrap();
        }
        before = Some((positions, parallelism));
    }
    let mut values = chain.values();
    values.sort();
    values
}

/// Like [`open_context`], in a job with or without checkpoints.
pub(super) fn checkpointed_context(index: u32, parallelism: u32, enabled: bool) -> OpenContext {
    let mut cx = open_context(index, parallelism);
    cx.checkpointing.enabled = enabled;
    cx
}

/// A checkpoint that consists of a number only.
struct Numbered(u64);

impl Pieces for Numbered {
    fn checkpoint(&self) -> u64 {
        self.0
    }
    fn operators(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
    fn states(&self, _operator: &str) -> Vec<StateSchema> {
        Vec::new()
    }
    fn parallelism(&self, _operator: &str) -> u32 {
        0
    }
    fn entry_count(&self, _state: &StateRef) -> u64 {
        0
    }
    fn visit(
        &self,
        _state: &StateRef,
        _wanted: &dyn Fn(u32) -> bool,
        _visit: &mut dyn FnMut(PieceRef<'_>) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        Ok(())
    }
}

/// Like [`checkpointed_context`], in a job that resumes from the checkpoint with this number.
pub(super) fn restored_context(index: u32, parallelism: u32, checkpoint: u64) -> OpenContext {
    let mut cx = checkpointed_context(index, parallelism, true);
    cx.checkpointing.restored = Some(Restored::new(Arc::new(Numbered(checkpoint))));
    cx
}

/// A committer that does its work only when told to.
#[derive(Clone, Default)]
pub(super) struct CommitTasks(Arc<Mutex<Vec<CommitTask>>>);

impl CommitTasks {
    /// The context of the only subtask, which commits through this committer.
    pub(super) fn context(&self, checkpoints: bool) -> OpenContext {
        let mut cx = checkpointed_context(0, 1, checkpoints);
        let tasks = Arc::clone(&self.0);
        cx.checkpointing.committer = Committer::new(move |task| tasks.lock().unwrap().push(task));
        cx
    }

    /// Runs all pending commits; returns whether each has failed.
    pub(super) fn run(&self) -> Vec<bool> {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        tasks.into_iter().map(|task| task()).collect()
    }
}
