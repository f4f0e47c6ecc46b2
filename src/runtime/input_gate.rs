//! The input gate: the head of a chain that starts at rings, one from each upstream subtask.
//!
//! Channels are read in turn, a batch at a time, records in place, and kept together in event time
//! ([`Pace`](super::pace::Pace)). Watermarks and idleness are merged by the valve; when all channels have ended, so does
//! the chain's input.
//!
//! A barrier that overtakes enters the chain soon after the gate has learned of it, from a channel or from the job
//! master; what channels deliver after that but before their own barrier is logged ([`InputLog`]). A job restored from
//! such a checkpoint reads the logged data first ([`Restoring`]).
//!
//! It enters the chains of all gates of a subtask at the same time, though some of them could take it earlier. Where
//! these chains meet, the input of the first one would be held, and its gate read nothing more: but the other gate's
//! barrier may come, in line, from a subtask upstream that cannot go on before the first gate has read what it sends.
#![expect(unsafe_code, reason = "reads records in place in the rings' frames")]

use std::marker::PhantomData;

use crate::checkpoint::SnapshotOutput;
use crate::operator::{BoxError, OpenContext, OperatorError, Push};
use crate::record::{FrameKind, Wire, holds_records};
use crate::ring::Consumer;
use crate::time::Timestamp;

use super::gate_channels::{Channel, GateChannels};
use super::head::{Head, Notice, Pending, Progress, Turn, gets_on, start_turn};
use super::replay::Restoring;
use super::runs::push_next_run;

/// Reads records of type `V` from rings into the chain downstream.
pub(crate) struct InputGate<V: ?Sized, D> {
    inputs: GateChannels,
    pending: Pending,
    /// Present until the gate is opened, if checkpoints keep in-flight data of the exchange.
    restoring: Option<Restoring<V>>,
    /// Whether the barrier may be on its way from this very subtask, so that no other gate waits for it.
    is_in_cycle: bool,
    next: D,
    record: PhantomData<fn(&V)>,
}

impl<V: Wire + ?Sized, D: Push<V>> InputGate<V, D> {
    /// Creates a gate of these rings. `restoring` is given if checkpoints keep in-flight data of the exchange.
    pub(crate) fn new(
        consumers: Vec<Consumer>,
        restoring: Option<Restoring<V>>,
        is_in_cycle: bool,
        next: D,
    ) -> Self {
        InputGate {
            inputs: GateChannels::new(consumers),
            pending: Pending::default(),
            restoring,
            is_in_cycle,
            next,
            record: PhantomData,
        }
    }

    fn read_channels(&mut self, turn: &mut Turn) -> Progress {
        let channels = self.inputs.channels.len();
        let slowest = self.inputs.slowest();
        let mut progress = Progress::Idle;
        for turns in 0..channels {
            let channel = (self.inputs.first + turns) % channels;
            if self.inputs.signals.is_held(channel) {
                continue;
            }
            if self.inputs.logs() {
                self.inputs.log_unread::<V>(channel);
            }
            let left = turn.budget.left();
            let share = slowest.and_then(|slowest| slowest.share(self.inputs.time_of(channel)));
            if share == Some(0) {
                progress = Progress::Worked;
                continue;
            }
            let limit = share.map_or(left, |share| share.min(left));
            if self.read(channel, limit, turn) {
                progress = Progress::Worked;
            }
            self.inputs.pace.note(channel, left - turn.budget.left());
            if turn.budget.left() == 0 || !self.next.ready() {
                // The channel that was cut short is not the first one in the next turn.
                self.inputs.first = (channel + 1) % channels;
                break;
            }
        }
        progress
    }

    /// Reads one channel until it is empty, `limit` records have been read or the chain is not ready. Returns
    /// whether anything was read.
    #[inline]
    fn read(&mut self, channel: usize, limit: u32, turn: &mut Turn) -> bool {
        let InputGate {
            inputs,
            pending,
            next,
            ..
        } = self;
        let GateChannels {
            channels,
            signals: channel_signals,
            ..
        } = inputs;
        let Channel { consumer, within } = &mut channels[channel];
        let log = channel_signals.log.as_ref();
        let mut batch = match log.and_then(|log| log.end(channel)) {
            None => consumer.read(),
            Some(end) => consumer.read_to(end),
        };
        let mut frames = batch.frames();
        let (mut records, mut signals) = (0u32, false);
        while records < limit && next.ready() {
            let Some(frame) = frames.peek() else { break };
            match frame.header.kind() {
                kind if holds_records::<V>(kind) => {
                    let wanted = (limit - records) as usize;
                    // SAFETY: the ring belongs to this exchange: its runs were gathered by a `RunWriter` of `V`, and
                    // its record frames hold what `as_bytes` of a `V` returned.
                    let (done, len) = unsafe { push_next_run(&frames, next, *within, wanted) };
                    records += done as u32;
                    if done < len {
                        *within += done;
                        break;
                    }
                    *within = 0;
                }
                FrameKind::BARRIER if channel_signals.must_wait(frame.header, turn, pending) => {
                    break;
                }
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
        self.inputs.read += u64::from(records);
        records > 0 || signals
    }
}

impl<V: Wire + ?Sized, D: Push<V>> Head for InputGate<V, D> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)?;
        self.inputs.open(self.restoring.take(), cx)
    }

    fn poll(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError> {
        let progress = match start_turn(&mut self.next, &mut self.pending, turn) {
            Some(progress) => progress,
            None => self.read_channels(turn),
        };
        if self.inputs.logs() {
            self.inputs.log_all_unread::<V>();
        }
        self.inputs.end_turn();
        self.next.flush();
        Ok(progress)
    }

    fn has_work(&mut self) -> bool {
        if !self.next.ready() {
            return gets_on(&mut self.next) || self.pending.overtakes(&self.next);
        }
        !self.pending.is_empty() || self.inputs.have_some()
    }

    fn deadline(&self) -> Option<Timestamp> {
        let passes = !self.pending.is_suspended();
        passes.then(|| self.next.deadline()).flatten()
    }

    fn event_time(&self) -> Option<Timestamp> {
        Some(self.inputs.watermark())
    }

    fn is_done(&self) -> bool {
        self.pending.ended() && self.is_settled()
    }

    fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.next.ready()
    }

    fn notice(&mut self, notice: Notice) -> Result<(), BoxError> {
        self.inputs.notice(notice, &mut self.pending);
        Ok(())
    }

    fn postponed(&self) -> Option<u64> {
        self.inputs.postponed()
    }

    fn lets_overtake(&self, checkpoint: u64) -> bool {
        let can_enter = self.pending.is_empty() && self.next.takes_barrier();
        self.is_in_cycle
            || self.pending.barrier_queued() >= checkpoint
            || self.inputs.let_overtake(checkpoint) && can_enter
    }

    fn overtake(&mut self) {
        self.inputs.signals.overtake(&mut self.pending);
        self.pending.deliver(&mut self.next);
        if self.inputs.logs() {
            self.inputs.log_all_unread::<V>();
        }
        self.next.flush();
    }

    fn barrier(&self) -> u64 {
        self.pending.barrier()
    }

    fn barrier_queued(&self) -> u64 {
        self.pending.barrier_queued()
    }

    fn may_hold_barrier(&self) -> bool {
        !self.next.takes_barrier()
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let own = self.inputs.snapshot(out);
        self.next.snapshot(out) && own
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        self.next.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::recorder::{Event, Recorder, open_context};
    use crate::operator::{Budget, Signal};
    use crate::record::RunWriter;
    use crate::ring::{Producer, RingOptions, ring};

    type Gate = InputGate<u64, Recorder<u64>>;

    /// The records that a gate may read in a turn.
    const BATCH: u32 = 1024;

    /// A gate of so many channels, and their producers.
    fn gate(channels: usize) -> (Gate, Vec<Producer>) {
        let rings = (0..channels).map(|_| ring(RingOptions::new().capacity(1 << 20)));
        let (producers, consumers) = rings.unzip();
        let mut gate = InputGate::new(consumers, None, false, Recorder::new());
        gate.open(&open_context()).expect("nothing fails");
        (gate, producers)
    }

    /// Gives the gate a turn after a head of the subtask has taken the barrier of checkpoint `taken`.
    fn turn_after(gate: &mut Gate, taken: u64) {
        let mut turn = Turn {
            now: Timestamp(0),
            budget: Budget::new(BATCH),
            written: 0,
            taken,
        };
        gate.poll(&mut turn).expect("nothing fails");
    }

    fn push_barrier(producer: &mut Producer, checkpoint: i64) {
        let pushed = producer.push_reserved(FrameKind::BARRIER, 0, Timestamp(checkpoint));
        pushed.expect("there is room");
        producer.publish();
    }

    /// Pushes runs of ten records of one number, each run with a watermark; runs are `apart` in time.
    fn push_runs(producer: &mut Producer, runs: i64, number: u64, apart: i64) {
        for time in (1..=runs).map(|run| Timestamp(run * apart)) {
            let mut run = RunWriter::default();
            run.begin(
                &number,
                time,
                10 * (size_of::<u64>() + size_of::<Timestamp>()),
            );
            assert!((0..10).all(|_| run.push(&number, time)));
            let (header, payload) = run.end();
            for (kind, payload) in [(header.kind(), payload), (FrameKind::WATERMARK, &[])] {
                let pushed = producer.push(kind, header.aux(), time, payload);
                pushed.expect("there is room");
            }
        }
        producer.publish();
    }

    #[test]
    fn barrier_of_an_aborted_checkpoint_waits_for_the_notice_where_the_next_one_was_taken() {
        let (mut gate, mut producers) = gate(1);
        (1..=2).for_each(|checkpoint| push_barrier(&mut producers[0], checkpoint));
        // Another head of the subtask has taken the second checkpoint's.
        turn_after(&mut gate, 2);
        assert_eq!(gate.barrier(), 0);
        gate.notice(Notice::Aborted(1)).expect("nothing fails");
        turn_after(&mut gate, 2);
        assert_eq!(gate.barrier(), 2, "and the first one is ignored");
        let is_first = |event: &Event<u64>| matches!(event, Event::Signal(Signal::Barrier(b)) if b.checkpoint == 1);
        assert!(!gate.next.take().iter().any(is_first));
    }

    #[test]
    fn channels_get_on_together_in_event_time() {
        let (mut gate, mut producers) = gate(2);
        push_runs(&mut producers[0], 1_000, 0, 1);
        push_runs(&mut producers[1], 1_000, 1, 1_000);
        let mut read = [0, 0];
        while read[0] < 9_000 {
            turn_after(&mut gate, 0);
            for event in gate.next.take() {
                if let Event::Record(channel, _) = event {
                    read[channel as usize] += 1;
                }
            }
            assert!(read[1] <= 3 * BATCH, "it was ahead after the first run");
        }
    }

    #[test]
    fn channel_that_brought_its_barrier_is_not_waited_for() {
        let (mut gate, mut producers) = gate(2);
        push_runs(&mut producers[0], 100, 0, 1);
        push_runs(&mut producers[1], 1_000, 1, 1_000);
        producers.iter_mut().for_each(|p| push_barrier(p, 1));
        for _ in 0..20 {
            turn_after(&mut gate, 0);
        }
        assert_eq!(gate.barrier(), 1, "the other one was read to its barrier");
    }
}
