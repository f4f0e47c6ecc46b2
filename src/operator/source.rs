//! Sources: where records come from.
//!
//! A [`Source`] is the description, held by the graph; it opens nothing. Each subtask makes a
//! [`SourceReader`] from it, which is polled for a batch at a time and must not block: a reader that has
//! nothing says when to ask again, or is woken through its worker's waker.

use std::ops::Range;

use crate::time::Timestamp;

use super::on_stack::on_stack;
use super::{
    BoxError, Budget, OpenContext, Operator, OutputTag, Outputs, Push, RecordRun, Signal, SplitId,
    fetch_behind,
};

/// What a poll of a source found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceStatus {
    /// There is more to read now.
    More,
    /// There is nothing now; ask again at this processing time at the latest. `None`: the reader wakes
    /// its worker by itself.
    Idle(Option<Timestamp>),
    /// The source is bounded and at its end.
    Finished,
}

/// A source of records of type [`Source::Out`].
pub trait Source: Send + Sync + 'static {
    /// The records' type.
    type Out: ?Sized + 'static;
    /// What reads them in one subtask.
    type Reader: SourceReader<Out = Self::Out>;

    /// How many subtasks the source can use: 1 for sources that cannot be split.
    fn max_parallelism(&self) -> u32 {
        u32::MAX
    }

    /// Whether the source ends by itself.
    fn is_bounded(&self) -> bool {
        true
    }

    /// Starts an attempt: shared assignment of splits to readers begins anew.
    ///
    /// # Errors
    /// Where the input does not exist or cannot be listed.
    fn start(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Starts an attempt that goes on from a checkpoint, instead of [`start`](Self::start). `positions` are
    /// those that the readers of all subtasks took part with, in the order of their subtasks; each reader is
    /// given all of them too ([`SourceReader::seek`]).
    ///
    /// # Errors
    /// Where the input is not what it was.
    fn resume(&self, positions: &[Vec<u8>]) -> Result<(), BoxError> {
        let _ = positions;
        self.start()
    }

    /// The reader of subtask `index` of `parallelism`. Opens nothing yet.
    fn reader(&self, index: u32, parallelism: u32) -> Self::Reader;
}

/// One subtask's end of a source.
pub trait SourceReader: Send + 'static {
    /// The records' type.
    type Out: ?Sized + 'static;

    /// Opens what the reader needs.
    ///
    /// # Errors
    /// Where the input cannot be opened.
    fn open(&mut self, cx: &OpenContext) -> Result<(), BoxError> {
        let _ = cx;
        Ok(())
    }

    /// Emits records while `out` is ready, and says why it stopped.
    ///
    /// # Errors
    /// Where the input cannot be read; the subtask fails.
    fn poll<D: Push<Self::Out>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError>;

    /// Where the reader is at the barrier of a checkpoint: appends what it takes to go on from here, in this reader
    /// or in several others. What is read to its end must be told too, if it would be read again otherwise. Numbers
    /// grow; a checkpoint may be given up without a word, or be completed ([`commit`](Self::commit)) when those
    /// after it have begun.
    ///
    /// # Errors
    /// Where the reader cannot go on from where it is; no checkpoint of the job completes then.
    fn position(&mut self, checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        let _ = (checkpoint, positions);
        Err("this source has no positions: implement `SourceReader::position` and `seek`".into())
    }

    /// Goes on from a checkpoint, before [`open`](Self::open): these are the positions of all readers that took
    /// part, in the order of their subtasks, and `readers` is how many those were. Each reader of this attempt
    /// is given the same and takes its own share.
    ///
    /// # Errors
    /// Where they are not positions of this source.
    fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        let _ = (positions, readers);
        Err("this source has no positions: implement `SourceReader::position` and `seek`".into())
    }

    /// The checkpoint is complete: what was read before its [`position`](Self::position) will not be read again.
    /// Not called for every checkpoint.
    fn commit(&mut self, checkpoint: u64) {
        let _ = checkpoint;
    }

    /// Whether a poll would find something now, asked on the way to sleep of a reader that wakes its
    /// worker by itself: what arrived before the worker announced its sleep woke nobody.
    fn has_input(&mut self) -> bool {
        false
    }

    /// Releases what the reader holds.
    ///
    /// # Errors
    /// Where releasing fails.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Where a source reader puts its records: the chain behind it and a budget for this batch.
#[derive(Debug)]
pub struct Collector<'a, D> {
    next: &'a mut Outputs<D>,
    budget: &'a mut Budget,
    now: Timestamp,
    emitted: u64,
}

impl<'a, D> Collector<'a, D> {
    /// A collector in front of `next` for at most `budget` records, at processing time `now`.
    pub fn new(next: &'a mut Outputs<D>, budget: &'a mut Budget, now: Timestamp) -> Self {
        Collector {
            next,
            budget,
            now,
            emitted: 0,
        }
    }

    /// Processing time at the start of this batch.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many records were emitted through this collector.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.emitted
    }

    /// Whether another record may be emitted now: the budget is not used up and the outputs have room.
    #[inline(always)]
    pub fn ready<V: ?Sized>(&self) -> bool
    where
        D: Push<V>,
    {
        self.budget.left() > 0 && self.next.ready()
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

    /// Emits records of a slice from the front, looking ahead, until the collector is not ready; says
    /// how many it emitted.
    #[inline]
    pub fn emit_slice<V>(&mut self, records: &[V]) -> usize
    where
        D: Push<V>,
    {
        let wanted = records.len().min(self.budget.left() as usize);
        // Side outputs are boxed: without them, nothing in the loop is opaque to the compiler. They are looked
        // at once: nothing goes to them from here.
        let done = if self.next.ready() {
            on_stack(&mut self.next.main, |next| {
                next.push_run(&Slice(records), wanted)
            })
        } else {
            0
        };
        self.budget.spend(done as u32);
        self.emitted += done as u64;
        done
    }

    /// Emits a record to a side output; drops it if nobody takes that output.
    pub fn side<T: ?Sized + 'static>(&mut self, tag: &OutputTag<T>, record: &T, at: Timestamp) {
        self.next.sides.push(tag, record, at);
    }

    /// Says that the records that follow belong to `split`: each split has its own watermark.
    pub fn start_split<V: ?Sized>(&mut self, split: SplitId)
    where
        D: Push<V>,
    {
        self.next.signal(Signal::Split(split));
    }

    /// Says that `split` is finished: it holds no watermark back.
    pub fn end_split<V: ?Sized>(&mut self, split: SplitId)
    where
        D: Push<V>,
    {
        self.next.signal(Signal::SplitEnd(split));
    }

    /// Emits a watermark of the source's own.
    pub fn watermark<V: ?Sized>(&mut self, at: Timestamp)
    where
        D: Push<V>,
    {
        self.next.signal(Signal::Watermark(at));
    }
}

/// Records of so many bytes are fetched ahead. With smaller ones there is more to compute for each cache line, so that the
/// processor is early enough by itself; and a loop that prefetches is not vectorised.
const FETCHED_SIZE: usize = 32;

/// A slice of records without timestamps.
struct Slice<'a, V>(&'a [V]);

impl<V> RecordRun<V> for Slice<'_, V> {
    #[inline(always)]
    fn known(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn may_have_times(&self) -> bool {
        false
    }

    /// Without a check of the index of each.
    #[inline(always)]
    fn part<'b>(
        &'b self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'b V, Timestamp)>
    where
        V: 'b,
    {
        let records = self.0[numbers].iter();
        records.map(|record| {
            if size_of::<V>() >= FETCHED_SIZE {
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
        self.0[numbers].iter()
    }
}
