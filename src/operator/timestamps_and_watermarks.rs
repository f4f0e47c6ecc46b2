//! Timestamps and watermarks: where event time enters a stream.
//!
//! Flink's `TimestampsAndWatermarksOperator`. A function gives each record its timestamp; a generator
//! per split of the source makes watermarks, which are combined. Without splits there is one
//! generator. What comes from upstream in the way of watermarks and idleness is swallowed, but for the
//! watermark at the end of input.
//!
//! ```text
//! record ─► timestamp ─► next operator
//!               └──────► generator of the current split ─┐
//!                        (other splits, at batch end) ───┴► minimum ─► watermark, idle, active
//! ```
//! The current split's generator is a field of its own, so a record costs a periodic generator one
//! maximum and a count.
//!
//! A watermark that a generator makes of a record follows that record and stands before the next one, as in
//! Flink. It *waits* for whoever pushes to ask: until it has gone on, the operator is not ready. Only records that
//! are pushed unasked, several results of one `flat_map`, go before it: the chain behind may be in the middle of
//! firing what the watermark ends, and takes no record before that is done.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::Duration;

use crate::record::KeyHash;
use crate::seeded_bugs::seeded;
use crate::time::{
    AlignmentGroup, AlignmentMember, BatchEnd, SplitSlot, SplitWatermarks, TimeSignal, TimeSignals,
    Timestamp, WatermarkAssigner, WatermarkGenerator, WatermarkStrategy, nanos,
};

use super::record_run::{looks_ahead, push_looking_ahead};
use super::{
    Budget, OpenContext, Operator, OperatorError, Push, RecordRun, Signal, SplitId, earlier,
    look_through, pass_on,
};

/// The generator of one split.
struct Lane<G> {
    assigner: WatermarkAssigner<G>,
    records: u64,
    split: Option<SplitId>,
    /// Its place among the splits that count; none between the end of a split and the next one.
    slot: Option<SplitSlot>,
}

impl<G> Lane<G> {
    fn new<W: WatermarkStrategy<Generator = G>>(strategy: &W) -> Self {
        Lane {
            assigner: WatermarkAssigner::new(strategy),
            records: 0,
            split: None,
            slot: None,
        }
    }
}

/// Gives records timestamps and makes watermarks by the strategy `W`.
pub struct TimestampsAndWatermarks<V: ?Sized, F, W: WatermarkStrategy, D> {
    function: F,
    current: Lane<W::Generator>,
    others: Vec<Lane<W::Generator>>,
    splits: SplitWatermarks,
    strategy: W,
    /// Processing time of the batch.
    now: Timestamp,
    /// Whether the last batch ended without room downstream: time that no idleness counts.
    blocked: bool,
    back_pressured: Duration,
    /// The readers that this one keeps together with, if any.
    member: Option<AlignmentMember>,
    /// Whether this reader is ahead of them and waits.
    held: bool,
    /// A generator has made a watermark of a record, which has not been sent yet.
    waiting: bool,
    /// The watermark at the end of input has been sent: nothing follows.
    at_end: bool,
    next: D,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, F, W: WatermarkStrategy, D> std::fmt::Debug
    for TimestampsAndWatermarks<V, F, W, D>
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimestampsAndWatermarks")
            .field("watermark", &self.splits.watermark())
            .field("splits", &self.others.len())
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized, F, W: WatermarkStrategy, D: Operator> TimestampsAndWatermarks<V, F, W, D> {
    /// Timestamps by `function`, watermarks by `strategy`, in front of `next`.
    pub fn new(function: F, strategy: W, next: D) -> Self {
        let mut splits = SplitWatermarks::new();
        let mut current = Lane::new(&strategy);
        current.slot = Some(splits.register());
        TimestampsAndWatermarks {
            function,
            current,
            others: Vec::new(),
            splits,
            strategy,
            now: Timestamp::MIN,
            blocked: false,
            back_pressured: Duration::ZERO,
            member: None,
            held: false,
            waiting: false,
            at_end: false,
            next,
            record: PhantomData,
        }
    }

    /// Makes the generator of `split` the current one. What came before the first split had a
    /// generator that belongs to no split: it goes.
    fn start_split(&mut self, split: SplitId) {
        if self.current.split == Some(split) {
            return;
        }
        let known = self.others.iter().position(|l| l.split == Some(split));
        let lane = match known {
            Some(index) => self.others.swap_remove(index),
            None => Lane {
                split: Some(split),
                slot: Some(self.splits.register()),
                ..Lane::new(&self.strategy)
            },
        };
        let before = std::mem::replace(&mut self.current, lane);
        if before.split.is_some() {
            self.others.push(before);
        } else if let Some(slot) = before.slot {
            self.splits.unregister(slot);
        }
    }

    /// Reports to the alignment group and asks it whether to wait.
    fn keep_together(&mut self) {
        let Some(member) = &self.member else { return };
        let watermark = self.splits.watermark();
        let silent = self.at_end || self.splits.is_idle();
        member.report(if silent { Timestamp::MAX } else { watermark });
        self.held = !silent && member.holds(watermark);
    }

    /// Forgets a finished split: it holds no watermark back.
    fn end_split(&mut self, split: SplitId) {
        let ended = if self.current.split == Some(split) {
            std::mem::replace(&mut self.current, Lane::new(&self.strategy))
        } else {
            match self.others.iter().position(|l| l.split == Some(split)) {
                Some(index) => self.others.swap_remove(index),
                None => return,
            }
        };
        if let Some(slot) = ended.slot {
            self.splits.unregister(slot);
        }
    }

    /// The watermark that ends all: no generator is asked again.
    fn end_time(&mut self) {
        if !std::mem::replace(&mut self.at_end, true) {
            self.waiting = false;
            if self.splits.is_idle() {
                self.next.signal(Signal::Active);
            }
            self.next.signal(Signal::Watermark(Timestamp::MAX));
            self.keep_together();
        }
    }

    /// What a generator says after a record: it waits to be sent.
    #[cold]
    fn punctuate(&mut self, signals: TimeSignals) {
        if self.at_end {
            return;
        }
        let splits = &mut self.splits;
        let slot = *self.current.slot.get_or_insert_with(|| splits.register());
        for signal in signals {
            // A generator is active again by the watermark that follows.
            if let TimeSignal::Watermark(at) = signal {
                splits.defer_watermark(slot, at);
                self.waiting = true;
            }
        }
        if seeded("watermark-unasked") {
            self.waiting = false;
            send(&mut self.next, self.splits.tick());
        }
    }

    /// Sends the watermark that waits, if one does and the chain takes it.
    #[inline(always)]
    fn send_waiting(&mut self) {
        if self.waiting && self.next.ready() {
            self.waiting = false;
            send(&mut self.next, self.splits.tick());
        }
    }

    /// Shows a record that has gone on to its split's generator.
    #[inline(always)]
    fn note(&mut self, record: &V, at: Timestamp)
    where
        W::Generator: WatermarkGenerator<V>,
    {
        self.current.records += 1;
        let signals = self.current.assigner.on_record(record, at);
        if !signals.is_empty() {
            self.punctuate(signals);
        }
    }

    /// Asks every generator for its watermark and its idleness.
    fn end_batch(&mut self)
    where
        W::Generator: WatermarkGenerator<V>,
    {
        let back_pressured = std::mem::take(&mut self.back_pressured);
        self.waiting = false;
        let (splits, next) = (&mut self.splits, &mut self.next);
        for lane in std::iter::once(&mut self.current).chain(&mut self.others) {
            if lane.slot.is_none() && lane.records > 0 {
                lane.slot = Some(splits.register());
            }
            let Some(slot) = lane.slot else { continue };
            let batch = BatchEnd {
                now: self.now,
                records_seen: lane.records,
                back_pressured,
            };
            for signal in lane.assigner.on_batch_end::<V>(batch) {
                match signal {
                    TimeSignal::Watermark(at) => splits.defer_watermark(slot, at),
                    TimeSignal::Idle => send(next, splits.on_idle(slot)),
                    TimeSignal::Active => send(next, splits.on_active(slot)),
                }
            }
        }
        send(next, splits.tick());
    }
}

/// How long a reader that is held back waits before it looks at its group again.
const HELD_INTERVAL: Duration = Duration::from_millis(5);

fn send(next: &mut impl Operator, signals: TimeSignals) {
    for signal in signals {
        next.signal(signal.into());
    }
}

impl<V, F, W, D> Operator for TimestampsAndWatermarks<V, F, W, D>
where
    V: ?Sized,
    F: Send,
    W: WatermarkStrategy,
    W::Generator: WatermarkGenerator<V> + Send,
    D: Operator,
{
    pass_on!(next: snapshot, close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.member = self.strategy.alignment().map(AlignmentGroup::join);
        self.next.open(cx)
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        !self.held && !self.waiting && self.next.ready()
    }

    fn takes_barrier(&self) -> bool {
        !self.waiting && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.send_waiting();
        self.keep_together();
    }

    fn begin(&mut self, now: Timestamp) {
        if self.blocked {
            let span = now.0.saturating_sub(self.now.0);
            self.back_pressured += Duration::from_nanos(span.max(0).unsigned_abs());
        }
        self.now = now;
        self.next.begin(now);
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Watermark(Timestamp::MAX) => self.end_time(),
            Signal::Watermark(_) | Signal::Idle | Signal::Active => {}
            Signal::Split(split) => self.start_split(split),
            Signal::SplitEnd(split) => self.end_split(split),
            Signal::Barrier(_)
            | Signal::CheckpointComplete(_)
            | Signal::CheckpointAborted(_)
            | Signal::End => self.next.signal(signal),
        }
    }

    /// A chain that is not ready takes no watermark: it is asked for at the end of a later batch.
    fn flush(&mut self) {
        self.blocked = !self.next.ready();
        if !self.blocked && !self.at_end {
            self.end_batch();
            self.keep_together();
        }
        self.next.flush();
    }

    fn event_time(&self) -> Option<Timestamp> {
        Some(self.splits.watermark())
    }

    fn deadline(&self) -> Option<Timestamp> {
        let next = self.next.deadline();
        if self.held {
            return earlier(next, Some(self.now.saturating_add(nanos(HELD_INTERVAL))));
        }
        if self.at_end || self.blocked {
            return next;
        }
        let interval = self.strategy.interval();
        let periodic = interval.map(|span| self.now.saturating_add(nanos(span)));
        let lanes = std::iter::once(&self.current).chain(&self.others);
        lanes
            .filter(|lane| lane.slot.is_some())
            .map(|lane| lane.assigner.deadline(self.now))
            .fold(earlier(periodic, next), earlier)
    }
}

impl<V, F, W, D> Push<V> for TimestampsAndWatermarks<V, F, W, D>
where
    V: ?Sized,
    F: Fn(&V) -> Timestamp + Send,
    W: WatermarkStrategy,
    W::Generator: WatermarkGenerator<V> + Send,
    D: Push<V>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, _at: Timestamp) {
        let at = (self.function)(record);
        self.next.push(record, at);
        self.note(record, at);
    }

    look_through!(next: V);

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, _at: Timestamp, hash: KeyHash) {
        let at = (self.function)(record);
        self.next.push_hashed(record, at, hash);
        self.note(record, at);
    }

    #[inline(always)]
    fn push_run(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        if self.held {
            return 0;
        }
        if !W::Generator::NEEDS_GREATEST_ONLY {
            if looks_ahead(self, wanted) {
                return push_looking_ahead(self, run, wanted);
            }
            // Whether the chain is ready is asked before each record: a watermark goes in between.
            let mut records = run.first(wanted);
            while self.ready()
                && let Some((record, at)) = records.next()
            {
                let hash = self.hash_ahead(record);
                self.push_hashed(record, at, hash);
                self.send_waiting();
            }
            return wanted - records.len();
        }
        let timed = TimedRun {
            run,
            function: &self.function,
            greatest: Cell::new(Timestamp::MIN),
            record: PhantomData,
        };
        let count = self.next.push_run(&timed, wanted);
        let greatest = timed.greatest.get();
        if count > 0 {
            self.current.records += count as u64;
            self.current.assigner.on_greatest::<V>(greatest);
        }
        count
    }
}

/// Records with the timestamps that a function gives them, and the greatest of those that were asked for.
struct TimedRun<'a, V: ?Sized, R, F> {
    run: &'a R,
    function: &'a F,
    greatest: Cell<Timestamp>,
    record: PhantomData<&'a V>,
}

impl<V: ?Sized, R, F: Fn(&V) -> Timestamp> TimedRun<'_, V, R, F> {
    #[inline(always)]
    fn time_of(&self, record: &V) -> Timestamp {
        let at = (self.function)(record);
        self.greatest.set(self.greatest.get().max(at));
        at
    }
}

impl<V, R, F> RecordRun<V> for TimedRun<'_, V, R, F>
where
    V: ?Sized,
    R: RecordRun<V>,
    F: Fn(&V) -> Timestamp,
{
    #[inline(always)]
    fn len(&self) -> usize {
        self.run.len()
    }

    #[inline(always)]
    fn record(&self, index: usize) -> &V {
        self.run.record(index)
    }

    #[inline(always)]
    fn time(&self, index: usize) -> Timestamp {
        self.time_of(self.run.record(index))
    }

    #[inline(always)]
    fn first<'a>(&'a self, count: usize) -> impl ExactSizeIterator<Item = (&'a V, Timestamp)>
    where
        V: 'a,
    {
        let records = self.run.first(count);
        records.map(|(record, _)| (record, self.time_of(record)))
    }

    #[inline(always)]
    fn later<'a>(&'a self, from: usize) -> impl Iterator<Item = &'a V>
    where
        V: 'a,
    {
        self.run.later(from)
    }

    #[inline(always)]
    fn known(&self) -> usize {
        self.run.known()
    }

    #[inline(always)]
    fn ahead(&self, index: usize) -> &V {
        self.run.ahead(index)
    }
}

#[cfg(test)]
#[path = "timestamps_and_watermarks_test.rs"]
mod tests;
