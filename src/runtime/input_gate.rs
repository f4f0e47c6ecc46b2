//! The input gate: the head of a chain that begins at rings, one from each subtask in front.
//!
//! Channels are read in turns, a batch at a time, records in place. Watermarks and idleness are merged
//! by the valve; the end of all channels is the end of the chain.
#![expect(unsafe_code, reason = "reads records in place in the rings' frames")]

use std::marker::PhantomData;

use crate::metrics::{Counter, Gauge};
use crate::operator::{HashesAhead, OpenContext, OperatorError, Push, Signal};
use crate::record::{FrameHeader, FrameKind, KeyHash, Wire, in_place};
use crate::ring::{Consumer, Frames};
use crate::time::{TimeSignal, TimeSignals, Timestamp, Valve};

use super::head::{Head, Pending, Progress, Turn, gets_on, start_turn};

/// Reads records of type `V` from rings into the chain behind it.
pub(crate) struct InputGate<V: ?Sized, D> {
    consumers: Vec<Consumer>,
    /// The channel that is read first in the next turn.
    first: usize,
    time: ChannelTimes,
    pending: Pending,
    next: D,
    read: u64,
    metrics: GateMetrics,
    record: PhantomData<fn(&V)>,
}

#[derive(Default)]
struct GateMetrics {
    records_in: Counter,
    watermark: Gauge,
}

/// What the signals of all channels amount to.
struct ChannelTimes {
    valve: Valve,
    open: usize,
}

impl ChannelTimes {
    /// Takes one channel's signal and queues what follows from all of them.
    fn take(&mut self, channel: usize, header: FrameHeader, pending: &mut Pending) {
        match header.kind() {
            FrameKind::WATERMARK => queue(self.valve.on_watermark(channel, header.time), pending),
            FrameKind::IDLE => queue(self.valve.on_idle(channel), pending),
            FrameKind::ACTIVE => queue(self.valve.on_active(channel), pending),
            FrameKind::END => {
                queue(self.valve.on_end(channel), pending);
                self.open -= 1;
                if self.open == 0 {
                    pending.add(Signal::End);
                }
            }
            kind => unreachable!("no frame of kind {} is sent", kind.as_u8()),
        }
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
        InputGate {
            consumers,
            first: 0,
            time: ChannelTimes {
                valve: Valve::new(channels),
                open: channels,
            },
            pending: Pending::default(),
            next,
            read: 0,
            metrics: GateMetrics::default(),
            record: PhantomData,
        }
    }

    fn read_channels(&mut self, turn: &mut Turn) -> Progress {
        let channels = self.consumers.len();
        let mut progress = Progress::Idle;
        for turns in 0..channels {
            let channel = (self.first + turns) % channels;
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
            consumers,
            time,
            pending,
            next,
            ..
        } = self;
        let mut batch = consumers[channel].read();
        let mut frames = batch.frames();
        let (mut records, mut signals) = (0u32, false);
        let limit = turn.budget.left();
        let mut hashes = FrameHashes::start(next, &frames);
        while records < limit && next.ready() {
            let hash = hashes.as_mut().map(|hashes| hashes.step(next, &frames));
            let Some(frame) = frames.next() else { break };
            if frame.header.kind() == FrameKind::RECORD {
                // SAFETY: the ring belongs to this exchange: its record frames hold what `as_bytes` of
                // a `V` gave, 16-byte aligned, and stay until the batch is released.
                let record = unsafe { in_place::<V>(frame.payload) };
                match hash {
                    Some(hash) => next.push_hashed(record, frame.header.time, hash),
                    None => next.push(record, frame.header.time),
                }
                records += 1;
            } else {
                signals = true;
                time.take(channel, frame.header, pending);
                if !pending.deliver(next) {
                    break;
                }
            }
        }
        drop(batch);
        turn.budget.spend(records);
        self.read += u64::from(records);
        records > 0 || signals
    }
}

/// The hashes of the frames ahead in one batch of a channel.
struct FrameHashes<V: ?Sized> {
    hashes: HashesAhead,
    /// The number of the frame that is taken next.
    next: usize,
    record: PhantomData<fn(&V)>,
}

impl<V: Wire + ?Sized> FrameHashes<V> {
    /// Looks at the first frames, if that pays. Records of varying length are not found ahead.
    #[inline(always)]
    fn start(chain: &impl Push<V>, frames: &Frames<'_>) -> Option<Self> {
        if V::LENGTH.is_none() || !chain.looks_ahead() {
            return None;
        }
        let mut hashes = FrameHashes {
            hashes: HashesAhead::new(),
            next: 0,
            record: PhantomData,
        };
        for count in 0..HashesAhead::FAR {
            hashes.look_at(chain, frames, count);
        }
        Some(hashes)
    }

    #[inline(always)]
    fn look_at(&mut self, chain: &impl Push<V>, frames: &Frames<'_>, count: usize) {
        if let Some(payload) = frames.ahead(count)
            && Some(payload.len()) == V::LENGTH
        {
            // SAFETY: the frame was published by a result partition of this record type, and only
            // records have this length: signals have no payload.
            let record = unsafe { in_place::<V>(payload) };
            self.hashes.look(chain, self.next + count, record);
        }
    }

    /// Before the next frame is taken: looks at the farthest one and gives the hash of the next.
    #[inline(always)]
    fn step(&mut self, chain: &impl Push<V>, frames: &Frames<'_>) -> KeyHash {
        self.look_at(chain, frames, HashesAhead::FAR);
        let hash = self.hashes.take(chain, self.next);
        self.next += 1;
        hash
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
        self.metrics.watermark.set(self.time.valve.watermark().0);
        self.next.flush();
        Ok(progress)
    }

    fn has_work(&mut self) -> bool {
        if !self.next.ready() {
            return gets_on(&mut self.next);
        }
        !self.pending.is_empty()
            || self
                .consumers
                .iter_mut()
                .any(|consumer| !consumer.is_empty())
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.next.deadline()
    }

    fn is_done(&self) -> bool {
        self.pending.ended() && self.next.ready()
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        self.next.close()
    }
}
