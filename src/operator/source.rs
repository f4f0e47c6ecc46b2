//! Sources: where records come from.
//!
//! A [`Source`] is a description, held by the graph; it opens nothing. Each subtask creates a
//! [`SourceReader`] from it, which is polled one batch at a time and must not block: a reader that has
//! nothing to emit says when to ask again, or is woken through its worker's waker.

use std::ops::Range;

use crate::time::Timestamp;

use super::on_stack::on_stack;
use super::{
    BoxError, Budget, OpenContext, Operator, OutputTag, Outputs, Push, RecordRun, Signal, SplitId,
    fetch_behind, fetch_next_page,
};

/// The outcome of polling a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceStatus {
    /// There is more to read now.
    More,
    /// There is nothing now; ask again at this processing time at the latest. `None`: the reader wakes
    /// its worker itself.
    Idle(Option<Timestamp>),
    /// The source is bounded and has reached its end.
    Finished,
}

/// A source of records of type [`Source::Out`].
pub trait Source: Send + Sync + 'static {
    /// The records' type.
    type Out: ?Sized + 'static;
    /// The reader of one subtask.
    type Reader: SourceReader<Out = Self::Out>;

    /// Returns how many subtasks the source can use: 1 for sources that cannot be split.
    fn max_parallelism(&self) -> u32 {
        u32::MAX
    }

    /// Returns whether the source ends by itself.
    fn is_bounded(&self) -> bool {
        true
    }

    /// Checks that readers have positions for checkpoints to store. Called before every attempt of a job that takes
    /// checkpoints. A source whose reader implements [`position`](SourceReader::position) and
    /// [`seek`](SourceReader::seek) returns `Ok`.
    ///
    /// # Errors
    /// If they have none, which is the default; the job is not started then.
    fn check_positions(&self) -> Result<(), BoxError> {
        Err(NO_POSITIONS.into())
    }

    /// Starts an attempt: shared assignment of splits to readers starts afresh.
    ///
    /// # Errors
    /// If the input does not exist or cannot be listed.
    fn start(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Starts an attempt that resumes from a checkpoint, instead of [`start`](Self::start). `positions` holds
    /// what the readers of all subtasks stored in it, in subtask order; every reader also receives all of
    /// them ([`SourceReader::seek`]).
    ///
    /// # Errors
    /// If the input has changed.
    fn resume(&self, positions: &[Vec<u8>]) -> Result<(), BoxError> {
        let _ = positions;
        self.start()
    }

    /// Creates the reader of subtask `index` of `parallelism`. Opens nothing yet.
    fn reader(&self, index: u32, parallelism: u32) -> Self::Reader;
}

/// What watermark alignment asks of a source. Only records wait: signals and time go on, so that neither a barrier nor
/// its abort waits behind a source that waits for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourcePace {
    /// Nothing: it belongs to no group, or only to groups in which it counts for nothing at present.
    Unaligned,
    /// To read on.
    Free,
    /// To read nothing for now: it is ahead of its group.
    Held,
}

impl SourcePace {
    /// What is asked of the source of two chains. The one that is behind decides: if it belongs to the group that the
    /// other one waits for, both would wait for ever.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (SourcePace::Unaligned, pace) | (pace, SourcePace::Unaligned) => pace,
            (SourcePace::Held, SourcePace::Held) => SourcePace::Held,
            _ => SourcePace::Free,
        }
    }
}

impl FromIterator<SourcePace> for SourcePace {
    fn from_iter<I: IntoIterator<Item = SourcePace>>(paces: I) -> Self {
        paces
            .into_iter()
            .fold(SourcePace::Unaligned, SourcePace::and)
    }
}

const NO_POSITIONS: &str = "this source has no positions for checkpoints to store: implement \
    `Source::check_positions`, `SourceReader::position` and `SourceReader::seek`";

/// One subtask's reader of a source.
pub trait SourceReader: Send + 'static {
    /// The records' type.
    type Out: ?Sized + 'static;

    /// Opens what the reader needs.
    ///
    /// # Errors
    /// If the input cannot be opened.
    fn open(&mut self, cx: &OpenContext) -> Result<(), BoxError> {
        let _ = cx;
        Ok(())
    }

    /// Emits records while `out` is ready, and returns why it stopped.
    ///
    /// # Errors
    /// If the input cannot be read; the subtask fails.
    fn poll<D: Push<Self::Out>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError>;

    /// Appends the reader's position at the barrier of a checkpoint: whatever is needed to resume from here, in this
    /// reader or in several others. Include what has been read to its end if it would otherwise be read again.
    /// Checkpoint numbers increase; a checkpoint may be aborted without notice, or complete ([`commit`](Self::commit))
    /// after later ones have begun.
    ///
    /// # Errors
    /// If the reader cannot resume from where it is; the checkpoint fails.
    fn position(&mut self, checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        let _ = (checkpoint, positions);
        Err(NO_POSITIONS.into())
    }

    /// Resumes from a checkpoint, before [`open`](Self::open): `positions` are those of all readers that took part in
    /// it, in subtask order, and `readers` is how many there were. Each reader of this attempt receives the same
    /// positions and takes its own share.
    ///
    /// # Errors
    /// If they are not positions of this source. The job fails and does not restart; an input that is only missing for
    /// now is [`open`](Self::open)'s to miss.
    fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        let _ = (positions, readers);
        Err(NO_POSITIONS.into())
    }

    /// The checkpoint is complete: what was read before its [`position`](Self::position) will not be read again.
    /// Not called for every checkpoint.
    fn commit(&mut self, checkpoint: u64) {
        let _ = checkpoint;
    }

    /// Returns whether a poll would find something now. Asked before the worker goes to sleep, of a reader that wakes
    /// it itself: input that arrived before the worker announced its sleep woke nobody.
    fn has_input(&mut self) -> bool {
        false
    }

    /// Releases what the reader holds.
    ///
    /// # Errors
    /// If releasing fails.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Where a source reader emits its records: the downstream chain and a budget for this batch.
#[derive(Debug)]
pub struct Collector<'a, D> {
    next: &'a mut Outputs<D>,
    budget: &'a mut Budget,
    now: Timestamp,
    emitted: u64,
    /// Watermarks for which the outputs had no room: one may start more than a call can do.
    later: Vec<Signal>,
}

impl<'a, D> Collector<'a, D> {
    /// Creates a collector that emits at most `budget` records to `next`, at processing time `now`.
    pub fn new(next: &'a mut Outputs<D>, budget: &'a mut Budget, now: Timestamp) -> Self {
        Collector {
            next,
            budget,
            now,
            emitted: 0,
            later: Vec::new(),
        }
    }

    /// Takes the watermarks that the outputs have yet to be given, before anything else.
    pub(crate) fn into_later(self) -> Vec<Signal> {
        self.later
    }

    /// Returns the processing time at the start of this batch.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns how many records have been emitted through this collector.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.emitted
    }

    /// Returns whether another record may be emitted now: the budget is not used up and the outputs have room.
    #[inline(always)]
    pub fn ready<V: ?Sized>(&self) -> bool
    where
        D: Push<V>,
    {
        self.budget.left() > 0 && self.next.ready() && self.later.is_empty()
    }

    /// Emits a record without a timestamp.
    #[inline(always)]
    pub fn emit<V: ?Sized>(&mut self, record: &V)
    where
        D: Push<V>,
    {
        self.emit_at(record, Timestamp::MIN);
    }

    /// Emits a record with a timestamp.
    #[inline(always)]
    pub fn emit_at<V: ?Sized>(&mut self, record: &V, at: Timestamp)
    where
        D: Push<V>,
    {
        self.budget.take();
        self.emitted += 1;
        self.next.main.push(record, at);
    }

    /// Emits records of a slice from the front, looking ahead, until the collector is not ready; returns
    /// how many it emitted.
    #[inline]
    pub fn emit_slice<V>(&mut self, records: &[V]) -> usize
    where
        D: Push<V>,
    {
        let wanted = records.len().min(self.budget.left() as usize);
        // Side outputs are boxed: without them, nothing in the loop is opaque to the compiler. Checking them once
        // is enough: nothing goes to them from here.
        let done = if self.next.ready() && self.later.is_empty() {
            on_stack(&mut self.next.main, |next| {
                push_slice(next, records, wanted)
            })
        } else {
            0
        };
        self.budget.spend(done as u32);
        self.emitted += done as u64;
        done
    }

    /// Emits a record to a side output; drops it if that output is not connected.
    pub fn side<T: ?Sized + 'static>(&mut self, tag: &OutputTag<T>, record: &T, at: Timestamp) {
        self.next.sides.push(tag, record, at);
    }

    /// Announces that the records that follow belong to `split`: each split has its own watermark.
    pub fn start_split<V: ?Sized>(&mut self, split: SplitId)
    where
        D: Push<V>,
    {
        self.next.signal(Signal::Split(split));
    }

    /// Announces that `split` is finished: it no longer holds the watermark back.
    pub fn end_split<V: ?Sized>(&mut self, split: SplitId)
    where
        D: Push<V>,
    {
        self.next.signal(Signal::SplitEnd(split));
    }

    /// Emits a watermark generated by the source itself.
    pub fn watermark<V: ?Sized>(&mut self, at: Timestamp)
    where
        D: Push<V>,
    {
        let signal = Signal::Watermark(at);
        if self.later.is_empty() && self.next.ready() {
            self.next.signal(signal);
        } else {
            self.later.push(signal);
        }
    }
}

/// Pushes the first `wanted` records of a slice while `next` is ready; returns how many. A straight chain gets them page
/// by page, any other all at once.
#[inline(always)]
fn push_slice<V, D: Push<V>>(next: &mut D, records: &[V], wanted: usize) -> usize {
    let is_straight = next.is_straight();
    let fetches = !is_straight && size_of::<V>() >= FETCHED_SIZE;
    let mut done = 0;
    loop {
        let records = &records[done..];
        let mut part = wanted - done;
        if is_straight {
            part = part.min(fetch_next_page(records));
        }
        let taken = next.push_run(&Slice { records, fetches }, part);
        done += taken;
        if !is_straight || taken < part || done == wanted {
            return done;
        }
    }
}

/// Records of at least this many bytes are prefetched one by one. Smaller ones are too many per cache line.
const FETCHED_SIZE: usize = 16;

/// A slice of records without timestamps.
struct Slice<'a, V> {
    records: &'a [V],
    /// Whether each record that is read prefetches a later one.
    fetches: bool,
}

impl<V> RecordRun<V> for Slice<'_, V> {
    #[inline(always)]
    fn known(&self) -> usize {
        self.records.len()
    }

    /// Avoids a bounds check per record.
    #[inline(always)]
    fn part<'b>(
        &'b self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'b V, Timestamp)>
    where
        V: 'b,
    {
        let records = self.records[numbers].iter();
        records.map(|record| {
            if self.fetches {
                fetch_behind(record);
            }
            (record, Timestamp::MIN)
        })
    }

    #[inline(always)]
    fn part_ahead<'b>(&'b self, numbers: Range<usize>) -> impl Iterator<Item = &'b V>
    where
        V: 'b,
    {
        self.records[numbers].iter()
    }
}
