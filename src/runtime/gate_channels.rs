//! The channels of an input gate and their combined signals, independent of the chain downstream.

use crate::checkpoint::SnapshotOutput;
use crate::metrics::{Counter, Gauge};
use crate::operator::{
    Barrier, BarrierAligner, OpenContext, OperatorError, Signal, replayed_signal,
};
use crate::record::{FrameHeader, FrameKind, Wire};
use crate::ring::Consumer;
use crate::time::{TimeSignals, Timestamp, Valve};

use super::head::{Notice, Pending, Turn};
use super::input_log::InputLog;
use super::pace::{Pace, Slowest};
use super::replay::Restoring;

/// The channels of a gate.
pub(super) struct GateChannels {
    pub(super) channels: Vec<Channel>,
    /// The channel that is read first in the next turn.
    pub(super) first: usize,
    pub(super) signals: ChannelSignals,
    pub(super) pace: Pace,
    /// The actual channels, while replayed in-flight data is read first.
    behind: Option<Vec<Channel>>,
    pub(super) read: u64,
    metrics: GateMetrics,
}

/// A ring from one sending subtask.
pub(super) struct Channel {
    pub(super) consumer: Consumer,
    /// How many records of the next run have been pushed already.
    pub(super) within: usize,
}

#[derive(Default)]
struct GateMetrics {
    records_in: Counter,
    watermark: Gauge,
}

/// The combined signals of all channels.
pub(super) struct ChannelSignals {
    valve: Valve,
    aligner: BarrierAligner,
    /// Present if barriers may overtake and checkpoints are enabled.
    pub(super) log: Option<InputLog>,
    /// Replayed in-flight data is being read, through a single channel whose signals are already combined. A barrier
    /// that overtakes must wait for the end of it.
    replays: bool,
    /// The barrier that is to overtake, as soon as all heads of the subtask let it.
    postponed: Option<Barrier>,
    /// The last checkpoint that was triggered. Once all channels have ended, its barrier no longer arrives with the
    /// records.
    triggered: Option<Barrier>,
}

impl ChannelSignals {
    /// Handles one channel's signal and queues the resulting signals of all channels combined.
    pub(super) fn take(&mut self, channel: usize, header: FrameHeader, pending: &mut Pending) {
        if self.replays {
            return pending.add(replayed_signal(header));
        }
        match header.kind() {
            FrameKind::WATERMARK => queue(self.valve.on_watermark(channel, header.time), pending),
            FrameKind::IDLE => queue(self.valve.on_idle(channel), pending),
            FrameKind::ACTIVE => queue(self.valve.on_active(channel), pending),
            FrameKind::BARRIER => {
                let barrier = barrier_of(header);
                let aligned = self.aligner.on_barrier(channel, barrier);
                self.pass(aligned, pending);
                self.postpone(barrier);
            }
            FrameKind::END => {
                queue(self.valve.on_end(channel), pending);
                let aligned = self.aligner.on_end(channel);
                self.pass(aligned, pending);
                if self.aligner.has_ended() {
                    pending.add(Signal::End);
                    self.pass_triggered(pending);
                }
            }
            kind => unreachable!("no frame of kind {} is sent", kind.as_u8()),
        }
    }

    /// Forwards a barrier that all channels have brought.
    fn pass(&mut self, aligned: Option<Barrier>, pending: &mut Pending) {
        let Some(barrier) = aligned else { return };
        self.postponed
            .take_if(|postponed| postponed.checkpoint <= barrier.checkpoint);
        pending.add(Signal::Barrier(barrier));
    }

    /// Whether a barrier that has arrived must wait in its channel for the state of another checkpoint to be written.
    /// One that will be ignored does not: the next one may be behind it.
    pub(super) fn must_wait(&self, header: FrameHeader, turn: &Turn, pending: &Pending) -> bool {
        let barrier = barrier_of(header);
        turn.waits_for(barrier, pending) && self.aligner.awaits(barrier.checkpoint)
    }

    /// Keeps a barrier that may overtake until it can.
    fn postpone(&mut self, barrier: Barrier) {
        let may = barrier.overtakes() && self.log.is_some() && !self.aligner.has_ended();
        if may && self.aligner.awaits(barrier.checkpoint) {
            self.postponed = Some(barrier);
        }
    }

    /// Forwards the postponed barrier.
    pub(super) fn overtake(&mut self, pending: &mut Pending) {
        let Some(barrier) = self.postponed.take() else {
            return;
        };
        let (aligner, checkpoint) = (&mut self.aligner, barrier.checkpoint);
        let is_missing = |channel| !aligner.has_brought(channel, checkpoint);
        let missing: Vec<bool> = (0..aligner.channels()).map(is_missing).collect();
        if self.aligner.overtake(barrier)
            && let Some(log) = &mut self.log
        {
            log.begin(checkpoint, &self.valve, |channel| missing[channel]);
            pending.add(Signal::Barrier(barrier));
        }
    }

    /// Whether a channel is blocked, so that nothing may be read from it now.
    #[inline]
    pub(super) fn is_held(&self, channel: usize) -> bool {
        !self.replays && self.aligner.is_held(channel)
    }

    /// Sends the triggered checkpoint's barrier, which is up to the gate once every channel has ended.
    fn pass_triggered(&mut self, pending: &mut Pending) {
        if !self.aligner.has_ended() {
            return;
        }
        self.postponed = None;
        if let Some(barrier) = self.triggered.take()
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
    pending.extend(signals.map(Signal::from));
}

impl GateChannels {
    pub(super) fn new(consumers: Vec<Consumer>) -> Self {
        let channels = consumers.len();
        let channel = |consumer| Channel {
            consumer,
            within: 0,
        };
        GateChannels {
            channels: consumers.into_iter().map(channel).collect(),
            first: 0,
            signals: ChannelSignals {
                valve: Valve::new(channels),
                aligner: BarrierAligner::new(channels),
                log: None,
                replays: false,
                postponed: None,
                triggered: None,
            },
            pace: Pace::new(channels),
            behind: None,
            read: 0,
            metrics: GateMetrics::default(),
        }
    }

    /// Prepares for reading, starting with the in-flight data of the checkpoint that the job is restored from.
    pub(super) fn open<V: Wire + ?Sized>(
        &mut self,
        restoring: Option<Restoring<V>>,
        cx: &OpenContext,
    ) -> Result<(), OperatorError> {
        self.register(cx);
        let Some(mut restoring) = restoring else {
            return Ok(());
        };
        if cx.checkpointing.enabled && restoring.channels.overtakes {
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

    fn register(&mut self, cx: &OpenContext) {
        let metrics = cx.operator_metrics(&cx.subtask.vertex);
        self.metrics = GateMetrics {
            records_in: metrics.counter("records_in"),
            watermark: metrics.gauge("watermark_nanos"),
        };
    }

    /// Makes the ring of a replay be read before the others.
    fn replay(&mut self, consumer: Consumer) {
        let channel = Channel {
            consumer,
            within: 0,
        };
        self.behind = Some(std::mem::replace(&mut self.channels, vec![channel]));
        self.signals.replays = true;
        self.first = 0;
    }

    /// Ends a turn: switches to the actual channels once the replay has been read, and reports what was read.
    pub(super) fn end_turn(&mut self) {
        if self.behind.is_some() {
            self.end_replay();
        }
        self.metrics.records_in.set(self.read);
        self.metrics.watermark.set(self.watermark().0);
    }

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
        }
    }

    /// The combined watermark of all channels.
    pub(super) fn watermark(&self) -> Timestamp {
        self.signals.valve.watermark()
    }

    /// The event time of a channel, unless it has ended, is idle or is blocked.
    #[inline]
    pub(super) fn time_of(&self, channel: usize) -> Option<Timestamp> {
        let (at, is_idle) = self.signals.valve.channel(channel)?;
        (!is_idle && !self.signals.is_held(channel)).then_some(at)
    }

    /// The channel furthest behind in event time.
    #[inline]
    pub(super) fn slowest(&self) -> Option<Slowest> {
        self.pace.slowest(|channel| self.time_of(channel))
    }

    /// Whether channels hold data that the barrier of a checkpoint has overtaken.
    #[inline]
    pub(super) fn logs(&self) -> bool {
        self.signals.log.as_ref().is_some_and(InputLog::is_active)
    }

    /// Logs a channel's data that the barrier of a checkpoint has overtaken.
    #[cold]
    pub(super) fn log_unread<V: Wire + ?Sized>(&mut self, channel: usize) {
        if let Some(log) = &mut self.signals.log {
            let Channel { consumer, within } = &mut self.channels[channel];
            log.add::<V>(channel, consumer, *within);
        }
    }

    /// Logs every channel's data that the barrier of a checkpoint has overtaken.
    #[cold]
    pub(super) fn log_all_unread<V: Wire + ?Sized>(&mut self) {
        (0..self.channels.len()).for_each(|channel| self.log_unread::<V>(channel));
    }

    /// Whether any channel that may be read has data.
    pub(super) fn have_some(&mut self) -> bool {
        let signals = &self.signals;
        let mut channels = (0..).zip(&mut self.channels);
        channels.any(|(n, channel)| !signals.is_held(n) && !channel.consumer.is_empty())
    }

    /// The checkpoint whose barrier is to overtake.
    pub(super) fn postponed(&self) -> Option<u64> {
        let postponed = self.signals.postponed.as_ref();
        postponed.map(|barrier| barrier.checkpoint)
    }

    /// Whether the barrier of a checkpoint need not be waited for, as no channel is left to bring it, or can overtake
    /// now.
    pub(super) fn let_overtake(&self, checkpoint: u64) -> bool {
        let signals = &self.signals;
        signals.aligner.has_ended() || self.postponed() == Some(checkpoint) && !signals.replays
    }

    /// Handles a notice about a checkpoint.
    pub(super) fn notice(&mut self, notice: Notice, pending: &mut Pending) {
        match notice {
            Notice::Overtake(barrier) => {
                if !pending.overtake(barrier) {
                    self.signals.postpone(barrier);
                }
            }
            Notice::Triggered(barrier) => {
                self.signals.postpone(barrier);
                self.signals.triggered = Some(barrier);
                self.signals.pass_triggered(pending);
            }
            Notice::Drain => {}
            Notice::Complete(checkpoint) => {
                pending.add(Signal::CheckpointComplete(checkpoint));
            }
            Notice::Aborted(checkpoint) => {
                self.signals.aligner.abort(checkpoint);
                for kept in [&mut self.signals.postponed, &mut self.signals.triggered] {
                    kept.take_if(|barrier| barrier.checkpoint == checkpoint);
                }
                if let Some(log) = &mut self.signals.log {
                    log.abort(checkpoint);
                }
                pending.abort(checkpoint);
            }
        }
    }

    /// Writes part of what was logged for the checkpoint of `out`; returns whether that is all.
    pub(super) fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let log = self.signals.log.as_mut();
        log.is_none_or(|log| log.write(out))
    }
}
