//! Split generators: the watermark generators of a source's splits, and their combined output.
//!
//! The part of [`TimestampsAndWatermarks`](super::TimestampsAndWatermarks) that does not depend on the downstream
//! chain.

use std::time::Duration;

use crate::time::{
    AlignmentGroup, AlignmentMember, BatchEnd, SplitSlot, SplitWatermarks, TimeSignal, TimeSignals,
    Timestamp, WatermarkAssigner, WatermarkGenerator, WatermarkStrategy, nanos,
};

use super::signal::forward;
use super::{Signal, SourcePace, SplitId, Suspension, earlier};

/// The generator of one split.
pub(super) struct Lane<G> {
    pub(super) assigner: WatermarkAssigner<G>,
    pub(super) records: u64,
    split: Option<SplitId>,
    /// Its slot among the splits that count; none between the end of a split and the next one, if other splits count
    /// or the reader is idle.
    slot: Option<SplitSlot>,
    /// Whether it stands for a split that is yet to come, after the end of another one.
    is_spare: bool,
}

impl<G> Lane<G> {
    fn new<W: WatermarkStrategy<Generator = G>>(strategy: &W) -> Self {
        Lane {
            assigner: WatermarkAssigner::new(strategy),
            records: 0,
            split: None,
            slot: None,
            is_spare: false,
        }
    }

    /// Whether it has a split, or records that belong to none.
    fn is_read(&self) -> bool {
        self.slot.is_some() && (!self.is_spare || self.records > 0)
    }
}

/// Where signals are sent.
type Emit<'a> = dyn FnMut(Signal) + 'a;

/// The generators of all splits.
pub(super) struct SplitGenerators<W: WatermarkStrategy> {
    pub(super) current: Lane<W::Generator>,
    others: Vec<Lane<W::Generator>>,
    splits: SplitWatermarks,
    strategy: W,
    /// Processing time of the batch.
    now: Timestamp,
    /// Whether the last batch ended without room downstream: time that does not count towards idleness, nor does time
    /// for which this reader is paused.
    blocked: bool,
    back_pressured: Duration,
    /// The watermark alignment group that this reader belongs to, if any.
    member: Option<AlignmentMember>,
    /// Whether this reader is ahead of its group and waits.
    pub(super) pace: SourcePace,
    /// A generator has emitted a watermark for a record, which has not been sent yet.
    pub(super) waiting: bool,
    /// The watermark at the end of input has been sent: nothing follows.
    at_end: bool,
    suspension: Suspension,
}

impl<W: WatermarkStrategy> std::fmt::Debug for SplitGenerators<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SplitGenerators")
            .field("watermark", &self.splits.watermark())
            .field("splits", &self.others.len())
            .finish_non_exhaustive()
    }
}

/// How long a reader that is held back waits before it checks its group again.
const HELD_INTERVAL: Duration = Duration::from_millis(5);

impl<W: WatermarkStrategy> SplitGenerators<W> {
    pub(super) fn new(strategy: W) -> Self {
        let mut splits = SplitWatermarks::new();
        let mut current = Lane::new(&strategy);
        current.slot = Some(splits.register());
        SplitGenerators {
            current,
            others: Vec::new(),
            splits,
            strategy,
            now: Timestamp::MIN,
            blocked: false,
            back_pressured: Duration::ZERO,
            member: None,
            pace: SourcePace::Unaligned,
            waiting: false,
            at_end: false,
            suspension: Suspension::default(),
        }
    }

    /// Joins the alignment group of the strategy, if it has one.
    pub(super) fn join_group(&mut self) {
        self.member = self.strategy.alignment().map(AlignmentGroup::join);
    }

    /// Returns the combined watermark of all splits.
    pub(super) fn watermark(&self) -> Timestamp {
        self.splits.watermark()
    }

    /// Begins a batch, first ending the last one if the chain had no room for that. A chain that never has room at the
    /// end of a batch, because batches are longer than its rings, would see no watermark before the end of input.
    pub(super) fn begin<V: ?Sized>(&mut self, now: Timestamp, ready: bool, emit: &mut Emit<'_>)
    where
        W::Generator: WatermarkGenerator<V>,
    {
        let span = now.0.saturating_sub(self.now.0);
        self.now = now;
        let held = self.pace == SourcePace::Held;
        if self.blocked || held {
            self.back_pressured += Duration::from_nanos(span.max(0).unsigned_abs());
        }
        if self.blocked {
            self.end_batch::<V>(ready, emit);
        } else if held {
            self.keep_together();
        }
    }

    /// Handles a signal; emits what is to be forwarded.
    pub(super) fn signal(&mut self, signal: Signal, emit: &mut Emit<'_>) {
        self.suspension.note(signal);
        match signal {
            Signal::Watermark(Timestamp::MAX) => self.end_time(emit),
            Signal::Watermark(_) | Signal::Idle | Signal::Active => {}
            Signal::Split(split) => self.start_split(split),
            Signal::SplitEnd(split) => self.end_split(split),
            Signal::Barrier(_)
            | Signal::CheckpointComplete(_)
            | Signal::CheckpointAborted(_)
            | Signal::End => emit(signal),
        }
    }

    /// Makes the generator of `split` the current one. The generator used before the first split
    /// belongs to no split and is dropped.
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

    /// Reports to the alignment group and checks whether to wait. A reader without a split holds nobody back, although
    /// it sends neither a watermark nor idleness: it may wait for one for ever.
    pub(super) fn keep_together(&mut self) {
        let Some(member) = &self.member else { return };
        let watermark = self.splits.watermark();
        let mut lanes = std::iter::once(&self.current).chain(&self.others);
        let has_split = lanes.any(Lane::is_read);
        let silent = self.at_end || self.splits.is_idle() || !has_split;
        member.report(if silent { Timestamp::MAX } else { watermark });
        self.pace = match silent {
            true => SourcePace::Unaligned,
            false if member.holds(watermark) => SourcePace::Held,
            false => SourcePace::Free,
        };
    }

    /// Removes a finished split: it no longer holds the watermark back. A reader that has no split any more is like one
    /// that has had none yet: if its strategy has an idle timeout, it is idle after that. (In Flink, it never is, and
    /// holds the watermark downstream back for as long as it waits.)
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
        let mut lanes = std::iter::once(&self.current).chain(&self.others);
        if !self.splits.is_idle() && lanes.all(|lane| lane.slot.is_none()) {
            self.current.slot = Some(self.splits.register());
            self.current.is_spare = true;
        }
    }

    /// Sends the final watermark: no generator is asked again.
    fn end_time(&mut self, emit: &mut Emit<'_>) {
        if !std::mem::replace(&mut self.at_end, true) {
            self.waiting = false;
            if self.splits.is_idle() {
                emit(Signal::Active);
            }
            emit(Signal::Watermark(Timestamp::MAX));
            self.keep_together();
        }
    }

    /// Handles what a generator emits after a record: it waits to be sent.
    #[cold]
    pub(super) fn punctuate(&mut self, signals: TimeSignals) {
        if self.at_end {
            return;
        }
        let splits = &mut self.splits;
        let slot = *self.current.slot.get_or_insert_with(|| splits.register());
        for signal in signals {
            // A generator becomes active again by the watermark that follows.
            if let TimeSignal::Watermark(at) = signal {
                splits.defer_watermark(slot, at);
                self.waiting = true;
            }
        }
    }

    /// Sends the waiting watermark.
    pub(super) fn send(&mut self, emit: &mut Emit<'_>) {
        self.waiting = false;
        forward(self.splits.tick(), emit);
    }

    /// Ends a batch: if the chain is ready, every generator is asked for its watermark and its idleness.
    pub(super) fn end_batch<V: ?Sized>(&mut self, ready: bool, emit: &mut Emit<'_>)
    where
        W::Generator: WatermarkGenerator<V>,
    {
        self.blocked = !ready;
        if ready && !self.at_end && !self.suspension.is_on() {
            self.ask::<V>(emit);
            self.keep_together();
        }
    }

    /// Asks every generator for its watermark and its idleness, and then sends the combined result, once: the chain
    /// may be busy with a watermark, and would take no second signal.
    fn ask<V: ?Sized>(&mut self, emit: &mut Emit<'_>)
    where
        W::Generator: WatermarkGenerator<V>,
    {
        let back_pressured = std::mem::take(&mut self.back_pressured);
        let splits = &mut self.splits;
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
                    TimeSignal::Idle => splits.defer_idle(slot, true),
                    TimeSignal::Active => splits.defer_idle(slot, false),
                }
            }
        }
        self.send(emit);
    }

    /// Returns when a generator or the group must be asked again.
    pub(super) fn deadline<V: ?Sized>(&self) -> Option<Timestamp>
    where
        W::Generator: WatermarkGenerator<V>,
    {
        if self.pace == SourcePace::Held {
            return Some(self.now.saturating_add(nanos(HELD_INTERVAL)));
        }
        if self.at_end || self.blocked {
            return None;
        }
        let interval = self.strategy.interval();
        let periodic = interval.map(|span| self.now.saturating_add(nanos(span)));
        let lanes = std::iter::once(&self.current).chain(&self.others);
        lanes
            .filter(|lane| lane.slot.is_some())
            .map(|lane| lane.assigner.deadline(self.now))
            .fold(periodic, earlier)
    }
}
