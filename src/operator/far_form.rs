//! `FarForm`: an exchange that vanished. Records become what the far side would have read.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::Range;

use crate::checkpoint::{CheckpointError, StateRef};
use crate::record::{Far, Form, KeyHash, Record, Scratch};
use crate::state::Lookahead;
use crate::time::Timestamp;

use super::channel_replay::{replay, replayed_signal};
use super::channel_state::{ChannelId, InFlight, RECEIVED};
use super::edge::Edge;
use super::gathered::{ROOM, Slots, gathers};
use super::record_run::{looks_ahead, push_mapped, push_unhashed};
use super::stage::Stage;
use super::{
    Budget, OpenContext, Operator, OperatorError, Push, RecordRun, Signal, SubtaskInfo, pass_on,
};

/// Forwards the far form of every record: for plain data and text the record itself, for archived
/// records a view of an archive made here, because that is the type for which the operators downstream of an
/// exchange are written, whether or not it vanishes.
///
/// If the downstream state is large and the head has not looked ahead, records pass through a stage. What was gathered
/// for an operator that takes runs waits there while that is not ready.
///
/// If the exchange had rings in the checkpoint from which the job resumes, their contents are forwarded
/// first.
pub struct FarForm<T: Record + ?Sized, D> {
    scratch: Scratch,
    /// The edge whose channels are restored.
    edge: Option<Edge>,
    /// Whether records are staged in this batch.
    stages: bool,
    stage: Box<Stage<Far<T>>>,
    /// Whether the stage is non-empty.
    staged: bool,
    /// Signals behind records that are held back because `next` is not ready.
    waiting: VecDeque<Signal>,
    /// Whether the stage must be drained before anything else is processed.
    held: bool,
    next: D,
}

impl<T: Record + ?Sized, D> std::fmt::Debug for FarForm<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FarForm").finish_non_exhaustive()
    }
}

impl<T: Record + ?Sized, D> FarForm<T, D> {
    /// Creates a converter upstream of `next`.
    pub fn new(next: D) -> Self {
        FarForm {
            edge: None,
            scratch: Scratch::new(),
            stages: false,
            stage: Box::new(Stage::new()),
            staged: false,
            waiting: VecDeque::new(),
            held: false,
            next,
        }
    }
}

impl<T: Record + ?Sized, D: Push<Far<T>>> FarForm<T, D> {
    /// Sets the edge that it replaces.
    #[must_use]
    pub fn in_place_of(self, edge: Edge) -> Self {
        let edge = Some(edge);
        FarForm { edge, ..self }
    }

    /// Has the stage hold what a checkpoint has from the rings.
    fn restore(&mut self, edge: &Edge, cx: &OpenContext) -> Result<(), CheckpointError> {
        let Some(restored) = &cx.checkpointing.restored else {
            return Ok(());
        };
        let SubtaskInfo {
            index, parallelism, ..
        } = cx.subtask;
        // If an exchange by key vanishes, there is one subtask; otherwise it does not matter who takes a record.
        let is_own = |channel: ChannelId| channel.receiver % parallelism == index;
        let log = replay::<Far<T>>(edge, restored, &is_own, &mut |_, _| true)?;
        (self.staged, self.held) = (!log.is_empty(), !log.is_empty());
        let visited = log.visit::<Far<T>>(&mut |in_flight| match in_flight {
            InFlight::Record(record, at) => self.stage.hold(&self.next, record, at),
            InFlight::Signal(header) => self.stage.hold_signal(replayed_signal(header)),
        });
        visited.map_err(|cause| CheckpointError::Malformed {
            state: StateRef::new(&edge.uid, RECEIVED),
            cause,
        })
    }

    /// Empties the stage and forwards the signals waiting behind it, as far as `next` is ready.
    fn settle(&mut self) {
        self.staged = !self.stage.drain(&mut self.next);
        self.held = self.staged;
        while !self.held
            && let Some(signal) = self.waiting.pop_front()
        {
            self.next.signal(signal);
            self.held = !self.waiting.is_empty() && !self.next.ready();
        }
    }
}

impl<T: Record, D: Push<Far<T>>> FarForm<T, D> {
    /// Pushes what `map` makes of the first `wanted` records of a run, as runs, while the chain is ready; returns of how
    /// many records. The rest of the last run is held back.
    #[inline(always)]
    fn push_gathered<U: ?Sized>(
        &mut self,
        run: &impl RecordRun<U>,
        wanted: usize,
        mut map: impl FnMut(&U) -> T,
    ) -> usize {
        let mut slots = Slots::new();
        let mut done = 0;
        while done < wanted && self.ready() {
            let count = ROOM.min(wanted - done);
            let results = slots.gather(run.part(done..done + count), &mut map);
            let pushed = self.push_run(&results, count);
            if pushed < count {
                self.hold(results.part(pushed..count));
            }
            done += count;
        }
        done
    }

    /// Holds records back until the chain is ready.
    #[cold]
    #[inline(never)]
    fn hold<'a>(&mut self, records: impl Iterator<Item = (&'a T, Timestamp)>)
    where
        T: 'a,
    {
        (self.staged, self.held) = (true, true);
        for (record, at) in records {
            let far = <T::Form as Form<T>>::far(record, &mut self.scratch);
            self.stage.hold(&self.next, far, at);
        }
    }
}

impl<T: Record + ?Sized, D: Push<Far<T>>> Operator for FarForm<T, D> {
    pass_on!(next: deadline, snapshot, close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)?;
        let Some(edge) = self.edge.clone() else {
            return Ok(());
        };
        let restored = self.restore(&edge, cx);
        restored.map_err(|cause| OperatorError::restore(&edge.uid, cause))
    }

    #[inline]
    fn begin(&mut self, now: Timestamp) {
        self.stages = self.next.looks_ahead();
        self.next.begin(now);
    }

    fn signal(&mut self, signal: Signal) {
        // Splits do not cross an exchange, and whether it vanishes must not be seen in the watermarks behind it.
        if matches!(signal, Signal::Split(_) | Signal::SplitEnd(_)) {
            return;
        }
        if !self.staged && self.waiting.is_empty() {
            return self.next.signal(signal);
        }
        self.waiting.push_back(signal);
        self.settle();
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        !self.held && self.next.ready()
    }

    fn takes_barrier(&self) -> bool {
        !self.staged && self.waiting.is_empty() && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        if self.held {
            self.settle();
        }
    }

    #[inline]
    fn flush(&mut self) {
        if self.staged {
            self.settle();
        }
        self.next.flush();
    }
}

impl<T, D> Push<T> for FarForm<T, D>
where
    T: Record + ?Sized,
    D: Push<Far<T>>,
{
    #[inline(always)]
    fn push(&mut self, record: &T, at: Timestamp) {
        let far = <T::Form as Form<T>>::far(record, &mut self.scratch);
        if self.stages {
            self.staged = true;
            self.stage.push(&mut self.next, far, at);
        } else {
            self.next.push(far, at);
        }
    }

    #[inline(always)]
    fn push_run(&mut self, run: &impl RecordRun<T>, wanted: usize) -> usize {
        let goes_through = <T::Form as Form<T>>::IN_PLACE && !self.staged && !self.held;
        if goes_through && (!self.stages || looks_ahead(&self.next, wanted)) {
            return self.next.push_run(&FarRun::<T, _>::new(run), wanted);
        }
        push_unhashed(self, run, wanted)
    }

    #[inline(always)]
    fn push_mapped<U: ?Sized>(
        &mut self,
        run: &impl RecordRun<U>,
        wanted: usize,
        map: impl FnMut(&U) -> T,
    ) -> usize
    where
        T: Sized,
    {
        if <T::Form as Form<T>>::IN_PLACE && gathers::<T>() && self.next.takes_runs() {
            return self.push_gathered(run, wanted, map);
        }
        push_mapped(self, run, wanted, map)
    }

    // A record that would have to be encoded first is not worth it.
    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        <T::Form as Form<T>>::IN_PLACE && self.next.looks_ahead()
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &T) -> KeyHash {
        let far = <T::Form as Form<T>>::itself(record);
        far.map_or(KeyHash::default(), |far| self.next.hash_ahead(far))
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.next.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &T, at: Timestamp, hash: KeyHash) {
        match <T::Form as Form<T>>::itself(record) {
            Some(far) if !self.staged => self.next.push_hashed(far, at, hash),
            // A staged record must not be overtaken.
            Some(far) => self.stage.push(&mut self.next, far, at),
            None => self.push(record, at),
        }
    }
}

/// Records whose far form is the record itself.
struct FarRun<'a, T: ?Sized, R> {
    run: &'a R,
    record: PhantomData<&'a T>,
}

impl<'a, T: Record + ?Sized, R: RecordRun<T>> FarRun<'a, T, R> {
    #[inline(always)]
    fn new(run: &'a R) -> Self {
        FarRun {
            run,
            record: PhantomData,
        }
    }

    #[inline(always)]
    fn far(record: &T) -> &Far<T> {
        <T::Form as Form<T>>::itself(record).expect("a form in place is its own far form")
    }
}

impl<T: Record + ?Sized, R: RecordRun<T>> RecordRun<Far<T>> for FarRun<'_, T, R> {
    #[inline(always)]
    fn part<'a>(
        &'a self,
        numbers: Range<usize>,
    ) -> impl ExactSizeIterator<Item = (&'a Far<T>, Timestamp)>
    where
        Far<T>: 'a,
    {
        let records = self.run.part(numbers);
        records.map(|(record, at)| (Self::far(record), at))
    }

    #[inline(always)]
    fn known(&self) -> usize {
        self.run.known()
    }

    #[inline(always)]
    fn part_ahead<'a>(&'a self, numbers: Range<usize>) -> impl Iterator<Item = &'a Far<T>>
    where
        Far<T>: 'a,
    {
        self.run.part_ahead(numbers).map(Self::far)
    }
}

#[cfg(test)]
#[path = "far_form_test.rs"]
mod tests;
