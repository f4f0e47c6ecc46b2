//! The input gate: the head of a chain that begins at rings, one from each subtask in front.
//!
//! Channels are read in turns, a batch at a time, records in place. Watermarks and idleness are merged
//! by the valve; the end of all channels is the end of the chain.
#![expect(unsafe_code, reason = "reads records in place in the rings' frames")]

use std::marker::PhantomData;

use crate::checkpoint::SnapshotOutput;
use crate::metrics::{Counter, Gauge};
use crate::operator::{
    Barrier, BoxError, OpenContext, OperatorError, Push, RecordRun, Signal, on_stack, push_run,
};
use crate::record::{FrameHeader, FrameKind, RunReader, Wire, in_place, travels_in_runs};
use crate::ring::Consumer;
use crate::time::{TimeSignal, TimeSignals, Timestamp, Valve};

use super::barrier_aligner::BarrierAligner;
use super::head::{Head, Notice, Pending, Progress, Turn, gets_on, start_turn};

/// Reads records of type `V` from rings into the chain behind it.
pub(crate) struct InputGate<V: ?Sized, D> {
    channels: Vec<Channel>,
    /// The channel that is read first in the next turn.
    first: usize,
    signals: ChannelSignals,
    pending: Pending,
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
    open: usize,
    /// The last checkpoint that was triggered. Its barrier comes with no record once all channels have ended.
    triggered: Option<Barrier>,
}

impl ChannelSignals {
    /// Takes one channel's signal and queues what follows from all of them.
    fn take(&mut self, channel: usize, header: FrameHeader, pending: &mut Pending) {
        match header.kind() {
            FrameKind::WATERMARK => queue(self.valve.on_watermark(channel, header.time), pending),
            FrameKind::IDLE => queue(self.valve.on_idle(channel), pending),
            FrameKind::ACTIVE => queue(self.valve.on_active(channel), pending),
            FrameKind::BARRIER => {
                let aligned = self.aligner.on_barrier(channel, barrier_of(header));
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
    pub(crate) fn new(consumers: Vec<Consumer>, next: D) -> Self {
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
                open: channels,
                triggered: None,
            },
            pending: Pending::default(),
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
            if self.signals.aligner.is_held(channel) {
                continue;
            }
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
        let mut batch = consumer.read();
        let mut frames = batch.frames();
        let (mut records, mut signals) = (0u32, false);
        let limit = turn.budget.left();
        while records < limit && next.ready() {
            let Some(frame) = frames.peek() else { break };
            match frame.header.kind() {
                FrameKind::RUN if travels_in_runs::<V>() => {
                    // SAFETY: the ring belongs to this exchange: its runs were gathered by a
                    // `RunWriter` of `V`, stand 16-byte aligned, and stay until the batch is released.
                    let run = unsafe { RunReader::<V>::new(frame.header, frame.payload) };
                    let rest = run.after(*within);
                    let wanted = rest.len().min((limit - records) as usize);
                    let done = on_stack(next, |next| push_run(next, &rest, wanted));
                    records += done as u32;
                    if done < rest.len() {
                        *within += done;
                        break;
                    }
                    *within = 0;
                }
                FrameKind::RECORD if !travels_in_runs::<V>() => {
                    // SAFETY: likewise: its record frames hold what `as_bytes` of a `V` gave.
                    let record = unsafe { in_place::<V>(frame.payload) };
                    next.push(record, frame.header.time);
                    records += 1;
                }
                FrameKind::BARRIER if turn.waits_for(barrier_of(frame.header)) => break,
                _ => {
                    signals = true;
                    channel_signals.take(channel, frame.header, pending);
                    let delivered = pending.deliver(next);
                    if !delivered || channel_signals.aligner.is_held(channel) {
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

impl<V: Wire + ?Sized> RecordRun<V> for RunReader<'_, V> {
    #[inline(always)]
    fn len(&self) -> usize {
        RunReader::len(self)
    }

    #[inline(always)]
    fn record(&self, index: usize) -> &V {
        RunReader::record(self, index)
    }

    #[inline(always)]
    fn time(&self, index: usize) -> Timestamp {
        RunReader::time(self, index)
    }
}

impl<V: Wire + ?Sized, D: Push<V>> Head for InputGate<V, D> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let metrics = cx.operator_metrics(&cx.subtask.vertex);
        self.metrics = GateMetrics {
            records_in: metrics.counter("records_in"),
            watermark: metrics.gauge("watermark_nanos"),
        };
        self.next.open(cx)
    }

    fn poll(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError> {
        let progress = match start_turn(&mut self.next, &mut self.pending, turn) {
            Some(progress) => progress,
            None => self.read_channels(turn),
        };
        self.metrics.records_in.set(self.read);
        self.metrics.watermark.set(self.signals.valve.watermark().0);
        self.next.flush();
        Ok(progress)
    }

    fn has_work(&mut self) -> bool {
        if !self.next.ready() {
            return gets_on(&mut self.next);
        }
        let aligner = &self.signals.aligner;
        let mut channels = (0..).zip(&mut self.channels);
        !self.pending.is_empty()
            || channels.any(|(n, channel)| !aligner.is_held(n) && !channel.consumer.is_empty())
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
                self.pending.add(Signal::CheckpointAborted(checkpoint));
            }
        }
        Ok(())
    }

    fn barrier(&self) -> u64 {
        self.pending.barrier()
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.next.snapshot(out)
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        self.next.close()
    }
}
