//! The end of a chain in tests: records what arrives and can be made to refuse more.

use std::borrow::ToOwned;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::checkpoint::SnapshotOutput;
use crate::metrics::MetricGroup;
use crate::record::{KeyGroupAssignment, KeyHasher, MaxParallelism};
use crate::time::{Clock, Timestamp};

use super::{
    Budget, Checkpointing, OpenContext, Operator, OperatorError, Push, RecordRun, Signal,
    SubtaskInfo,
};

/// Something that arrived.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Event<T> {
    /// A record and its timestamp.
    Record(T, i64),
    /// A signal.
    Signal(Signal),
}

/// Creates the event of an arriving watermark.
pub(super) fn watermark<T>(at: i64) -> Event<T> {
    Event::Signal(Signal::Watermark(Timestamp(at)))
}

#[derive(Debug)]
struct Log<T> {
    events: Vec<Event<T>>,
    room: usize,
    calls: Vec<&'static str>,
}

/// Records into a log that its clones share.
#[derive(Debug)]
pub(crate) struct Recorder<T>(Arc<Mutex<Log<T>>>);

impl<T> Clone for Recorder<T> {
    fn clone(&self) -> Self {
        Recorder(Arc::clone(&self.0))
    }
}

impl<T> Recorder<T> {
    /// Creates a recorder that is always ready.
    pub(crate) fn new() -> Self {
        Recorder(Arc::new(Mutex::new(Log {
            events: Vec::new(),
            room: usize::MAX,
            calls: Vec::new(),
        })))
    }

    /// Makes it ready for `room` more events.
    pub(crate) fn set_room(&self, room: usize) {
        self.0.lock().unwrap().room = room;
    }

    /// Returns what has arrived since the last call.
    pub(crate) fn take(&self) -> Vec<Event<T>> {
        std::mem::take(&mut self.0.lock().unwrap().events)
    }

    /// Returns the records that have arrived since the last call.
    pub(super) fn take_records(&self) -> Vec<(T, i64)> {
        let record = |event| match event {
            Event::Record(record, at) => Some((record, at)),
            Event::Signal(_) => None,
        };
        self.take().into_iter().filter_map(record).collect()
    }

    /// Returns the calls of `open`, `begin`, `flush` and `close` since the last call.
    pub(crate) fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    fn note(&self, event: Event<T>) {
        let mut log = self.0.lock().unwrap();
        log.room = log.room.saturating_sub(1);
        log.events.push(event);
    }

    fn note_call(&self, call: &'static str) {
        self.0.lock().unwrap().calls.push(call);
    }
}

impl<T: Send> Operator for Recorder<T> {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        self.note_call("open");
        Ok(())
    }

    fn begin(&mut self, _now: Timestamp) {
        self.note_call("begin");
    }

    fn signal(&mut self, signal: Signal) {
        self.note(Event::Signal(signal));
    }

    fn ready(&self) -> bool {
        self.0.lock().unwrap().room > 0
    }

    fn resume(&mut self, _budget: &mut Budget) {}

    fn flush(&mut self) {
        self.note_call("flush");
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        self.note_call("close");
        Ok(())
    }
}

impl<V: ?Sized + ToOwned<Owned: Send>> Push<V> for Recorder<V::Owned> {
    fn push(&mut self, record: &V, at: Timestamp) {
        self.note(Event::Record(record.to_owned(), at.0));
    }
}

/// Records with their timestamps, as a run.
pub(crate) struct Records<'a, V>(pub(crate) &'a [(V, i64)]);

impl<V> RecordRun<V> for Records<'_, V> {
    fn known(&self) -> usize {
        self.0.len()
    }

    fn part<'b>(
        &'b self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'b V, Timestamp)>
    where
        V: 'b,
    {
        let records = self.0[numbers].iter();
        records.map(|(record, at)| (record, Timestamp(*at)))
    }
}

/// Creates an open context of a job called `job` under an assignment.
pub(super) fn open_context_under(assignment: KeyGroupAssignment) -> OpenContext {
    let groups = MaxParallelism::default_for(1);
    OpenContext {
        subtask: SubtaskInfo {
            job: "job".into(),
            vertex: "vertex".into(),
            index: 0,
            parallelism: 1,
            attempt: 0,
        },
        metrics: MetricGroup::new(),
        hasher: KeyHasher::new(assignment, groups),
        key_groups: groups.range(0, 1),
        waker: None,
        clock: Clock::System,
        checkpointing: Checkpointing::default(),
    }
}

/// Creates an open context under the default assignment.
pub(crate) fn open_context() -> OpenContext {
    open_context_under(KeyGroupAssignment::Hash)
}
