//! The input gate: the head of a chain that begins at rings, one from each subtask in front.
//!
//! Channels are read in turns, a batch at a time, records in place. Watermarks and idleness are merged
//! by the valve; the end of all channels is the end of the chain.
//!
//! A barrier that overtakes goes into the chain as soon as the gate hears of it, from a channel or from the
//! job master; what the channels then still bring before it is logged ([`InputLog`]). A job that goes on from
//! such a checkpoint reads that first ([`Restoring`]).
#![expect(unsafe_code, reason = "reads records in place in the rings' frames")]

use std::marker::PhantomData;

use crate::checkpoint::SnapshotOutput;
use crate::metrics::{Counter, Gauge};
use crate::operator::{
    Barrier, BoxError, OpenContext, OperatorError, Push, Signal, replayed_signal,
};
use crate::record::{FrameHeader, FrameKind, Wire, holds_records};
use crate::ring::Consumer;
use crate::time::{TimeSignal, TimeSignals, Timestamp, Valve};

use super::barrier_aligner::BarrierAligner;
use super::head::{Head, Notice, Pending, Progress, Turn, gets_on, start_turn};
use super::input_log::InputLog;
use super::replay::Restoring;
use super::runs::push_next_run;

/// Reads records of type `V` from rings into the chain behind it.
pub(crate) struct InputGate<V: ?Sized, D> {
    channels: Vec<Channel>,
    /// The channel that is read first in the next turn.
    first: usize,
    signals: ChannelSignals,
    pending: Pending,
    /// Until it is opened, where barriers may overtake.
    restoring: Option<Restoring<V>>,
    /// The channels that are read when what was on its way at the checkpoint has been read.
    behind: Option<Vec<Channel>>,
    next: D,
    read: u64,
    metrics: GateMetrics,
    record: PhantomData<fn(&V)>,
}

/// A ring from one sending subtask.
struct Channel {
    consumer: Consumer,
    /// How many records of the run that comes next have been pushed already.
    within: usize,
}

#[derive(Default)]
struct GateMetrics {
    records_in: Counter,
    watermark: Gauge,
}

/// What the signals of all channels amount to.
struct ChannelSignals {
    valve: Valve,
    aligner: BarrierAligner,
    /// Where barriers may overtake, and there are checkpoints.
    log: Option<InputLog>,
    /// What was on its way when the checkpoint was taken is read: one channel with signals that are combined
    /// already. A barrier that overtakes must wait for its end.
    replays: bool,
    postponed: Option<Barrier>,
    open: usize,
    /// The last checkpoint that was triggered. Its barrier comes with no record once all channels have ended.
    triggered: Option<Barrier>,
}

impl ChannelSignals {
    /// Takes one channel's signal and queues what follows from all of them.
    fn take(&mut self, channel: usize, header: FrameHeader, pending: &mut Pending) {
        if self.replays {
            return pending.add(replayed_signal(header));
        }
        match header.kind() {
            FrameKind::WATERMARK => queue(self.valve.on_watermark(channel, header.time), pending),
            FrameKind::IDLE => queue(self.valve.on_idle(channel), pending),
            FrameKind::ACTIVE => queue(self.valve.on_active(channel), pending),
            FrameKind::BARRIER => {
                let barrier = barrier_of(header);
                if self.may_overtake(barrier) {
                    return self.overtake(barrier, Some(channel), pending);
                }
                let aligned = self.aligner.on_barrier(channel, barrier);
                pending.extend(aligned.map(Signal::Barrier));
            }
            FrameKind::END => {
                queue(self.valve.on_end(channel), pending);
                let aligned = self.aligner.on_end(channel);
                pending.extend(aligned.map(Signal::Barrier));
                self.open -= 1;
                if self.open == 0 {
                    pending.add(Signal::End);
                    self.pass_triggered(pending);
                }
            }
            kind => unreachable!("no frame of kind {} is sent", kind.as_u8()),
        }
    }

    fn may_overtake(&self, barrier: Barrier) -> bool {
        barrier.overtakes() && self.log.is_some()
    }

    /// Has a barrier go on now that nobody, or only the channel `by`, has just brought.
    fn overtake(&mut self, barrier: Barrier, by: Option<usize>, pending: &mut Pending) {
        if self.replays {
            self.postponed = Some(barrier);
            return;
        }
        let (aligner, checkpoint) = (&mut self.aligner, barrier.checkpoint);
        let is_missing = |channel| by != Some(channel) && !aligner.has_brought(channel, checkpoint);
        let missing: Vec<bool> = (0..aligner.channels()).map(is_missing).collect();
        if self.aligner.overtake(barrier)
            && let Some(log) = &mut self.log
        {
            log.begin(checkpoint, &self.valve, |channel| missing[channel]);
            pending.add(Signal::Barrier(barrier));
        }
    }

    /// Whether nothing is to be read from a channel now.
    #[inline]
    fn is_held(&self, channel: usize) -> bool {
        !self.replays && self.aligner.is_held(channel)
    }

    /// With every channel at its end, the barrier of the checkpoint that was triggered is the gate's to send.
    fn pass_triggered(&mut self, pending: &mut Pending) {
        if self.open == 0
            && let Some(barrier) = self.triggered.take()
            && barrier.checkpoint > pending.barrier_queued()
        {
            pending.add(Signal::Barrier(barrier));
        }
    }
}

fn barrier_of(header: FrameHeader) -> Barrier {
    Barrier {
        checkpoint: header.time.0.cast_unsigned(),
        options: header.aux(),
    }
}

fn queue(signals: TimeSignals, pending: &mut Pending) {
    for signal in signals {
        pending.add(match signal {
            TimeSignal::Watermark(at) => Signal::Watermark(at),
            TimeSignal::Idle => Signal::Idle,
            TimeSignal::Active => Signal::Active,
        });
    }
}

impl<V: Wire + ?Sized, D: Push<V>> InputGate<V, D> {
    /// A gate of these rings. Barriers may overtake where it is told what to do with what they overtake.
    pub(crate) fn new(consumers: Vec<Consumer>, restoring: Option<Restoring<V>>, next: D) -> Self {
        let channels = consumers.len();
        let channel = |consumer| Channel {
            consumer,
            within: 0,
        };
        InputGate {
            channels: consumers.into_iter().map(channel).collect(),
            first: 0,
            signals: ChannelSignals {
                valve: Valve::new(channels),
                aligner: BarrierAligner::new(channels),
                log: None,
                replays: false,
                postponed: None,
                open: channels,
                triggered: None,
            },
            pending: Pending::default(),
            restoring,
            behind: None,
            next,
            read: 0,
            metrics: GateMetrics::default(),
            record: PhantomData,
        }
    }

    fn read_channels(&mut self, turn: &mut Turn) -> Progress {
        let channels = self.channels.len();
        let mut progress = Progress::Idle;
        for turns in 0..channels {
            let channel = (self.first + turns) % channels;
            if self.signals.is_held(channel) {
                continue;
            }
            self.log_unread(channel);
            if self.read(channel, turn) {
                progress = Progress::Worked;
            }
            if turn.budget.left() == 0 || !self.next.ready() {
                // The channel that was cut short is not the first in the next turn.
                self.first = (channel + 1) % channels;
                break;
            }
        }
        progress
    }

    /// Logs what a channel has that the barrier of a checkpoint has overtaken.
    #[inline]
    fn log_unread(&mut self, channel: usize) {
        if let Some(log) = &mut self.signals.log
            && log.is_active()
        {
            let Channel { consumer, within } = &mut self.channels[channel];
            log.add::<V>(channel, consumer, *within);
        }
    }

    /// Has the ring of a replay read before the others.
    fn replay(&mut self, consumer: Consumer) {
        let channel = Channel {
            consumer,
            within: 0,
        };
        self.behind = Some(std::mem::replace(&mut self.channels, vec![channel]));
        self.signals.replays = true;
        self.first = 0;
    }

    /// Goes on to the channels behind a replay when that has been read.
    #[cold]
    fn end_replay(&mut self) {
        if self
            .channels
            .iter_mut()
            .all(|channel| channel.consumer.is_empty())
            && let Some(channels) = self.behind.take()
        {
            self.channels = channels;
            self.signals.replays = false;
            if let Some(barrier) = self.signals.postponed.take() {
                self.signals.overtake(barrier, None, &mut self.pending);
            }
        }
    }

    /// Reads one channel until it is empty, the budget is used up or the chain is not ready. Says
    /// whether anything was read.
    #[inline]
    fn read(&mut self, channel: usize, turn: &mut Turn) -> bool {
        let InputGate {
            channels,
            signals: channel_signals,
            pending,
            next,
            ..
        } = self;
        let Channel { consumer, within } = &mut channels[channel];
        let log = channel_signals.log.as_ref();
        let mut batch = match log.and_then(|log| log.end(channel)) {
            None => consumer.read(),
            Some(end) => consumer.read_to(end),
        };
        let mut frames = batch.frames();
        let (mut records, mut signals) = (0u32, false);
        let limit = turn.budget.left();
        while records < limit && next.ready() {
            let Some(frame) = frames.peek() else { break };
            match frame.header.kind() {
                kind if holds_records::<V>(kind) => {
                    let wanted = (limit - records) as usize;
                    // SAFETY: the ring belongs to this exchange: its runs were gathered by a `RunWriter` of `V`, and
                    // its record frames hold what `as_bytes` of a `V` gave.
                    let (done, len) = unsafe { push_next_run(&frames, next, *within, wanted) };
                    records += done as u32;
                    if done < len {
                        *within += done;
                        break;
                    }
                    *within = 0;
                }
                FrameKind::BARRIER if turn.waits_for(barrier_of(frame.header)) => break,
                _ => {
                    signals = true;
                    channel_signals.take(channel, frame.header, pending);
                    let delivered = pending.deliver(next);
                    if !delivered || channel_signals.is_held(channel) {
                        frames.next();
                        break;
                    }
                }
            }
            frames.next();
        }
        drop(batch);
        turn.budget.spend(records);
        self.read += u64::from(records);
        records > 0 || signals
    }
}

impl<V: Wire + ?Sized, D: Push<V>> Head for InputGate<V, D> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let metrics = cx.operator_metrics(&cx.subtask.vertex);
        self.metrics = GateMetrics {
            records_in: metrics.counter("records_in"),
            watermark: metrics.gauge("watermark_nanos"),
        };
        self.next.open(cx)?;
        let Some(mut restoring) = self.restoring.take() else {
            return Ok(());
        };
        if cx.checkpointing.enabled {
            let ids = restoring.channels.of_receiver(cx.subtask.index);
            self.signals.log = Some(InputLog::new(ids, restoring.received()));
        }
        let ring = restoring.replay(cx);
        let ring =
            ring.map_err(|cause| OperatorError::restore(&restoring.channels.edge.uid, cause));
        if let Some(ring) = ring? {
            self.replay(ring);
        }
        Ok(())
    }

    fn poll(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError> {
        let progress = match start_turn(&mut self.next, &mut self.pending, turn) {
            Some(progress) => progress,
            None => self.read_channels(turn),
        };
        if self.signals.log.as_ref().is_some_and(InputLog::is_active) {
            (0..self.channels.len()).for_each(|channel| self.log_unread(channel));
        }
        if self.behind.is_some() {
            self.end_replay();
        }
        self.metrics.records_in.set(self.read);
        self.metrics.watermark.set(self.signals.valve.watermark().0);
        self.next.flush();
        Ok(progress)
    }

    fn has_work(&mut self) -> bool {
        if !self.next.ready() {
            return gets_on(&mut self.next) || self.pending.overtakes(&self.next);
        }
        let signals = &self.signals;
        let mut channels = (0..).zip(&mut self.channels);
        !self.pending.is_empty()
            || channels.any(|(n, channel)| !signals.is_held(n) && !channel.consumer.is_empty())
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.next.deadline()
    }

    fn is_done(&self) -> bool {
        self.pending.ended() && self.is_settled()
    }

    fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.next.ready()
    }

    fn notice(&mut self, notice: Notice) -> Result<(), BoxError> {
        match notice {
            Notice::Overtake(barrier) if self.pending.overtake(barrier) => {}
            Notice::Triggered(barrier) | Notice::Overtake(barrier)
                if self.signals.open > 0 && self.signals.may_overtake(barrier) =>
            {
                self.signals.overtake(barrier, None, &mut self.pending);
            }
            Notice::Overtake(_) => {}
            Notice::Triggered(barrier) => {
                self.signals.triggered = Some(barrier);
                self.signals.pass_triggered(&mut self.pending);
            }
            Notice::Drain => {}
            Notice::Complete(checkpoint) => {
                self.pending.add(Signal::CheckpointComplete(checkpoint));
            }
            Notice::Aborted(checkpoint) => {
                self.signals.aligner.abort(checkpoint);
                self.signals
                    .postponed
                    .take_if(|barrier| barrier.checkpoint == checkpoint);
                if let Some(log) = &mut self.signals.log {
                    log.abort(checkpoint);
                }
                self.pending.add(Signal::CheckpointAborted(checkpoint));
            }
        }
        Ok(())
    }

    fn barrier(&self) -> u64 {
        self.pending.barrier()
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let log = self.signals.log.as_mut();
        let own = log.is_none_or(|log| log.write(out));
        self.next.snapshot(out) && own
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        self.next.close()
    }
}
