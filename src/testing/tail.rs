//! The end of a chain under test: records what arrives, and reports being full when told to.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::checkpoint::SnapshotOutput;
use crate::operator::{Budget, OpenContext, Operator, OperatorError, OutputTag, Push, Signal};
use crate::time::Timestamp;

use super::violation::{Fault, Phase};

/// Something that an operator emitted.
#[derive(Clone, PartialEq, Debug)]
pub enum Output<O> {
    /// A record of the main output, with its timestamp.
    Record(O, Timestamp),
    /// A record of a side output: the tag's name, the record in `Debug` format, its timestamp.
    Side(Arc<str>, String, Timestamp),
    /// A signal of the main output.
    Signal(Signal),
}

/// How fast the output accepts elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// It is full after this many records and signals; 0: never.
    pub(super) room: u32,
    /// How many resumptions it takes until it has room again.
    pub(super) resumptions: u32,
}

/// How often each of the calls that must reach the end of the chain did so.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) open: u32,
    pub(super) begin: u32,
    pub(super) flush: u32,
    pub(super) snapshot: u32,
    pub(super) close: u32,
}

/// A barrier that came out, and the output before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    pub(super) checkpoint: u64,
    pub(super) outputs: usize,
    watermark: Timestamp,
}

/// The output so far, and the state of the current call.
#[derive(Debug)]
pub(super) struct Log<O> {
    pub(super) outputs: Vec<Output<O>>,
    pub(super) calls: Calls,
    pub(super) barriers: Vec<Passed>,
    pub(super) fault: Option<Fault>,
    pub(super) ended: bool,
    /// Records and signals since the call began.
    pub(super) emitted: u32,
    phase: Phase,
    /// The call whose work a resumption continues.
    cause: Phase,
    ready_at_start: bool,
    fan_out: u32,
    pace: Pace,
    taken: u32,
    resumptions_left: u32,
    /// Records and signals of this call that arrived while the output was full.
    beyond: u32,
    watermark: Timestamp,
}

impl<O> Log<O> {
    fn new(pace: Pace, fan_out: u32) -> Self {
        Log {
            outputs: Vec::new(),
            calls: Calls::default(),
            barriers: Vec::new(),
            fault: None,
            ended: false,
            emitted: 0,
            phase: Phase::Open,
            cause: Phase::Open,
            ready_at_start: true,
            fan_out,
            pace,
            taken: 0,
            resumptions_left: 0,
            beyond: 0,
            watermark: Timestamp::MIN,
        }
    }

    /// Records that `phase` begins.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        if !matches!(
            phase,
            Phase::Resume | Phase::Flush | Phase::Prefetch | Phase::Snapshot
        ) {
            self.cause = phase;
        }
        self.ready_at_start = self.is_ready();
        self.beyond = 0;
        self.emitted = 0;
    }

    pub(super) fn is_ready(&self) -> bool {
        self.resumptions_left == 0
    }

    /// Discards the output after a barrier.
    pub(super) fn rewind(&mut self, passed: Passed) {
        self.outputs.truncate(passed.outputs);
        self.barriers.retain(|b| b.checkpoint <= passed.checkpoint);
        (self.watermark, self.ended) = (passed.watermark, false);
        self.calls = Calls::default();
    }

    /// Prepares for a restored operator being sent the watermarks of its inputs: it may emit some again. Returns how
    /// much output there is, and the watermark.
    pub(super) fn before_telling(&mut self) -> (usize, Timestamp) {
        let watermark = std::mem::replace(&mut self.watermark, Timestamp::MIN);
        (self.outputs.len(), watermark)
    }

    /// Discards what has been emitted since; returns the records in it.
    pub(super) fn after_telling(&mut self, before: (usize, Timestamp)) -> Vec<Output<O>> {
        self.watermark = before.1;
        let told = self.outputs.split_off(before.0);
        let is_record = |output: &Output<O>| !matches!(output, Output::Signal(_));
        told.into_iter().filter(is_record).collect()
    }

    fn fault(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    fn resume(&mut self) {
        self.resumptions_left = self.resumptions_left.saturating_sub(1);
    }

    /// Counts one record or signal, and checks the rules common to both.
    fn count(&mut self, what: impl Fn() -> String) {
        let phase = self.phase;
        if matches!(
            phase,
            Phase::Open | Phase::Prefetch | Phase::Snapshot | Phase::Close
        ) {
            self.fault(Fault::Emitted(phase, what()));
        }
        if self.ended {
            self.fault(Fault::AfterEnd(what()));
        }
        self.emitted += 1;
        if !self.is_ready() {
            self.beyond += 1;
            // A push may emit everything that its one record causes; a flush while the output is full, nothing.
            let limit = match phase {
                Phase::Push => u32::MAX,
                Phase::Flush if !self.ready_at_start => 0,
                _ => self.fan_out,
            };
            if self.beyond > limit {
                let count = self.beyond;
                self.fault(Fault::OutputFull { phase, count });
            }
        }
        self.taken += 1;
        if self.pace.room > 0 && self.taken >= self.pace.room {
            self.taken = 0;
            self.resumptions_left = self.pace.resumptions;
        }
    }

    fn on_signal(&mut self, signal: Signal)
    where
        O: Debug,
    {
        self.count(|| format!("{signal:?}"));
        match signal {
            Signal::Watermark(to) if to < self.watermark => {
                let from = self.watermark;
                self.fault(Fault::WatermarkReceded { from, to });
            }
            Signal::Watermark(to) => self.watermark = to,
            Signal::End => self.ended = true,
            Signal::Barrier(barrier) => {
                self.barriers.push(Passed {
                    checkpoint: barrier.checkpoint,
                    outputs: self.outputs.len(),
                    watermark: self.watermark,
                });
                return;
            }
            _ => {}
        }
        self.outputs.push(Output::Signal(signal));
    }

    fn on_record(&mut self, at: Timestamp, what: impl Fn() -> String) {
        self.count(&what);
        if self.cause == Phase::Signal && !at.is_none() && at <= self.watermark {
            let (watermark, record) = (self.watermark, what());
            self.fault(Fault::BehindWatermark {
                record,
                at,
                watermark,
            });
        }
    }
}

/// The main output of an operator under test. Accepts records of type `O`, or the type borrowed from it (`str` for
/// `String`).
#[derive(Debug)]
pub struct Tail<O> {
    log: Arc<Mutex<Log<O>>>,
}

impl<O> Clone for Tail<O> {
    fn clone(&self) -> Self {
        Tail {
            log: Arc::clone(&self.log),
        }
    }
}

impl<O> Tail<O> {
    pub(super) fn new(pace: Pace, fan_out: u32) -> Self {
        Tail {
            log: Arc::new(Mutex::new(Log::new(pace, fan_out))),
        }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log<O>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a chain for the side output `tag` whose records go into the same log.
    #[must_use]
    pub fn side<U: ?Sized>(&self, tag: &OutputTag<U>) -> SideTail<O, U> {
        SideTail {
            tail: self.clone(),
            name: Arc::clone(tag.name()),
            record: PhantomData,
        }
    }
}

impl<O: Debug + Send> Operator for Tail<O> {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        self.log().calls.open += 1;
        Ok(())
    }

    fn begin(&mut self, _now: Timestamp) {
        self.log().calls.begin += 1;
    }

    fn signal(&mut self, signal: Signal) {
        self.log().on_signal(signal);
    }

    fn ready(&self) -> bool {
        self.log().is_ready()
    }

    fn takes_barrier(&self) -> bool {
        true
    }

    fn resume(&mut self, _budget: &mut Budget) {
        self.log().resume();
    }

    fn flush(&mut self) {
        self.log().calls.flush += 1;
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let mut log = self.log();
        log.calls.snapshot += 1;
        let last = log.barriers.last();
        last.is_some_and(|barrier| barrier.checkpoint >= out.checkpoint())
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        self.log().calls.close += 1;
        Ok(())
    }
}

impl<U, O> Push<U> for Tail<O>
where
    U: ToOwned<Owned = O> + ?Sized,
    O: Debug + Send,
{
    fn push(&mut self, record: &U, at: Timestamp) {
        let owned = record.to_owned();
        let mut log = self.log();
        log.on_record(at, || format!("{owned:?}"));
        log.outputs.push(Output::Record(owned, at));
    }
}

/// A side output of an operator under test, or another branch after it.
pub struct SideTail<O, U: ?Sized> {
    tail: Tail<O>,
    name: Arc<str>,
    record: PhantomData<fn(&U)>,
}

impl<O, U: ?Sized> std::fmt::Debug for SideTail<O, U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SideTail")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<O: Send, U: ?Sized> Operator for SideTail<O, U> {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }

    fn begin(&mut self, _now: Timestamp) {}

    fn signal(&mut self, _signal: Signal) {}

    fn ready(&self) -> bool {
        self.tail.log().is_ready()
    }

    fn takes_barrier(&self) -> bool {
        true
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

impl<O: Send, U: Debug + ?Sized> Push<U> for SideTail<O, U> {
    fn push(&mut self, record: &U, at: Timestamp) {
        let mut log = self.tail.log();
        // A record outside the main stream, such as a late one, is not bound by the watermark.
        log.count(|| format!("{record:?}"));
        let shown = format!("{record:?}");
        log.outputs
            .push(Output::Side(Arc::clone(&self.name), shown, at));
    }
}
