//! Timestamps and watermarks: where event time enters a stream.
//!
//! Flink's `TimestampsAndWatermarksOperator`. A function assigns each record its timestamp; a generator
//! per split of the source emits watermarks, which are combined. Without splits there is one
//! generator. Watermarks and idleness from upstream are discarded, except for the
//! watermark at the end of input.
//!
//! ```text
//! record ─► timestamp ─► next operator
//!               └──────► generator of the current split ─┐
//!                        (other splits, at batch end) ───┴► minimum ─► watermark, idle, active
//! ```
//! The current split's generator is a field of its own, so with a periodic generator a record costs one
//! maximum and a count.
//!
//! A watermark that a generator emits for a record follows that record and precedes the next one, as in
//! Flink. It *waits* until whoever pushes asks: until it has been sent, the operator is not ready. Only records that
//! are pushed without asking, several results that a function emits for one record, go ahead of it: the chain may be
//! in the middle of firing what the watermark ends, and takes no record before that is done. Nor can they be kept
//! here, since a record need not be `Clone`.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use crate::record::KeyHash;
use crate::seeded_bugs::seeded;
use crate::time::{Timestamp, WatermarkGenerator, WatermarkStrategy};

use super::record_run::{looks_ahead, push_looking_ahead, push_while_ready};
use super::split_generators::SplitGenerators;
use super::{
    Budget, OpenContext, Operator, OperatorError, Push, RecordRun, Signal, SourcePace, earlier,
    look_through, pass_on,
};

/// Assigns timestamps to records and emits watermarks by the strategy `W`.
pub struct TimestampsAndWatermarks<V: ?Sized, F, W: WatermarkStrategy, D> {
    function: F,
    generators: SplitGenerators<W>,
    next: D,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, F, W: WatermarkStrategy, D> std::fmt::Debug
    for TimestampsAndWatermarks<V, F, W, D>
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimestampsAndWatermarks")
            .field("generators", &self.generators)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized, F, W: WatermarkStrategy, D: Operator> TimestampsAndWatermarks<V, F, W, D> {
    /// Creates an operator that takes timestamps from `function` and watermarks from `strategy`, upstream of `next`.
    pub fn new(function: F, strategy: W, next: D) -> Self {
        TimestampsAndWatermarks {
            function,
            generators: SplitGenerators::new(strategy),
            next,
            record: PhantomData,
        }
    }

    /// Sends the waiting watermark, if there is one and the chain takes it.
    #[inline(always)]
    fn send_waiting(&mut self) {
        if self.generators.waiting && self.next.ready() {
            let next = &mut self.next;
            self.generators.send(&mut |signal| next.signal(signal));
        }
    }

    /// Shows a forwarded record to its split's generator.
    #[inline(always)]
    fn note(&mut self, record: &V, at: Timestamp)
    where
        W::Generator: WatermarkGenerator<V>,
    {
        let current = &mut self.generators.current;
        current.records += 1;
        let signals = current.assigner.on_record(record, at);
        if !signals.is_empty() {
            self.generators.punctuate(signals);
            if seeded("watermark-unasked") && self.generators.waiting {
                let next = &mut self.next;
                self.generators.send(&mut |signal| next.signal(signal));
            }
        }
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
        self.generators.join_group();
        self.next.open(cx)
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        !self.generators.waiting && self.next.ready()
    }

    fn source_pace(&self) -> SourcePace {
        self.generators.pace.and(self.next.source_pace())
    }

    fn takes_barrier(&self) -> bool {
        !self.generators.waiting && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.send_waiting();
    }

    fn begin(&mut self, now: Timestamp) {
        self.next.begin(now);
        let (ready, next) = (self.next.ready(), &mut self.next);
        let generators = &mut self.generators;
        generators.begin::<V>(now, ready, &mut |signal| next.signal(signal));
    }

    fn signal(&mut self, signal: Signal) {
        let next = &mut self.next;
        let generators = &mut self.generators;
        generators.signal(signal, &mut |signal| next.signal(signal));
    }

    /// A chain that is not ready takes no watermark: generators are then asked before the next batch.
    fn flush(&mut self) {
        let (ready, next) = (self.next.ready(), &mut self.next);
        let generators = &mut self.generators;
        generators.end_batch::<V>(ready, &mut |signal| next.signal(signal));
        self.next.flush();
    }

    fn event_time(&self) -> Option<Timestamp> {
        Some(self.generators.watermark())
    }

    fn deadline(&self) -> Option<Timestamp> {
        earlier(self.next.deadline(), self.generators.deadline::<V>())
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
        if !W::Generator::NEEDS_GREATEST_ONLY {
            if looks_ahead(self, wanted) {
                return push_looking_ahead(self, run, wanted);
            }
            // Whether the chain is ready is checked before each record: a watermark may go in between.
            return push_while_ready(self, run, wanted, |chain, record, at| {
                let hash = chain.hash_ahead(record);
                chain.push_hashed(record, at, hash);
                chain.send_waiting();
            });
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
            let current = &mut self.generators.current;
            current.records += count as u64;
            current.assigner.on_greatest::<V>(greatest);
        }
        count
    }
}

/// Records with the timestamps that a function assigns, and the greatest timestamp returned so far.
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
    fn part<'a>(
        &'a self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'a V, Timestamp)>
    where
        V: 'a,
    {
        let records = self.run.part(numbers);
        records.map(|(record, _)| (record, self.time_of(record)))
    }

    #[inline(always)]
    fn known(&self) -> usize {
        self.run.known()
    }

    #[inline(always)]
    fn part_ahead<'a>(&'a self, numbers: Range<usize>) -> impl Iterator<Item = &'a V>
    where
        V: 'a,
    {
        self.run.part_ahead(numbers)
    }
}

#[cfg(test)]
#[path = "timestamps_and_watermarks_test.rs"]
mod tests;

#[cfg(test)]
#[path = "timestamps_behind_aggregate_test.rs"]
mod behind_aggregate;
