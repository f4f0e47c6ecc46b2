//! The result partition: the end of a region in rings, one to each subtask downstream of the exchange.
//!
//! Records are copied into the rings' memory and published at the end of a batch, or when enough
//! bytes have accumulated. They are sent in runs, see [`RunWriter`]. A full ring never blocks: what does not fit
//! is kept in the channel's *overflow*, the partition is no longer ready, and its subtask is not
//! given another record until the overflow is gone. So the overflow holds at most what one record caused, and
//! backpressure is a state that can be observed and counted.
//!
//! A barrier that overtakes enters its rings, which reserve room for it, before the contents of the overflows, which
//! become part of the checkpoint. So does what precedes a barrier that is made to overtake later. A
//! checkpoint is not written before its barrier is in every ring.

use crate::checkpoint::SnapshotOutput;
use crate::metrics::{Counter, Gauge};
use crate::operator::{
    Barrier, Budget, ChannelId, ChannelState, FrameLog, OpenContext, Operator, OperatorError, Push,
    RecordRun, Route, SENT, Signal, Target, raise,
};
use crate::record::{Far, Form, FrameHeader, FrameKind, Record, RunWriter, Scratch, Wire};
use crate::ring::{Producer, RingError, RingOptions};
use crate::seeded_bugs::seeded;
use crate::time::Timestamp;

use super::channels::Channels;

/// A channel publishes when this many bytes have accumulated, even within a batch.
const PUBLISH_BYTES: usize = 8 * 1024;

/// A run is sent at about this many bytes, or at a quarter of the largest frame that the ring takes.
const RUN_BYTES: usize = 4 * 1024;

/// The rings' fill is measured only once in this many flushes, because it reads what the consumers write.
const FILL_INTERVAL: u32 = 64;

/// One ring to one subtask, and what did not fit. It starts on a cache line, so that a channel is found by a
/// shift, which happens for every record.
#[derive(Debug)]
#[repr(align(64))]
struct Channel {
    producer: Producer,
    /// Records that are not in the ring yet.
    run: RunWriter,
    /// The usual length of a run.
    run_usual: usize,
    overflow: FrameLog,
    /// A barrier that enters the ring before the overflow.
    overtaking: Option<FrameHeader>,
    /// The last barrier, while it waits for room in the ring.
    waiting: Option<Timestamp>,
    /// Whether the overflow or an overtaking barrier waits for room in the ring.
    is_full: bool,
}

impl Channel {
    fn new(producer: Producer) -> Self {
        Channel {
            run_usual: RUN_BYTES.min(producer.payload_max() / 4),
            producer,
            run: RunWriter::default(),
            overflow: FrameLog::default(),
            overtaking: None,
            waiting: None,
            is_full: false,
        }
    }

    /// Sends a record: as part of the run, or as a frame of its own.
    #[inline(always)]
    fn send_record<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> Sent {
        if self.run.push(record, at) {
            return Sent::InRing;
        }
        self.begin_run(record, at)
    }

    /// Sends the accumulated run, and starts one with this record or sends the record as a frame of its own.
    #[cold]
    #[inline(never)]
    fn begin_run<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> Sent {
        let sent = self.end_run();
        if self.run.begin(record, at, self.run_usual) {
            self.run.push(record, at);
            return sent;
        }
        let payload = record.as_bytes();
        let header = FrameHeader::new(FrameKind::RECORD, 0, payload.len() as u32, at);
        match self.send(header, payload) {
            Sent::StillFull => sent,
            also => also,
        }
    }

    /// Sends the accumulated run.
    #[inline(never)]
    fn end_run(&mut self) -> Sent {
        if self.run.is_empty() {
            return Sent::InRing;
        }
        let mut run = std::mem::take(&mut self.run);
        let (header, payload) = run.end();
        let sent = self.send(header, payload);
        self.run = run;
        sent
    }

    #[inline(always)]
    fn send(&mut self, header: FrameHeader, payload: &[u8]) -> Sent {
        if !self.is_full {
            match self.try_push(header, payload) {
                Ok(()) => return Sent::InRing,
                Err(RingError::Full { .. }) => self.producer.publish(),
                Err(RingError::TooLarge { size, limit }) => too_large(size, limit),
                // There is no reader any more: the job is ending, and so will this subtask.
                Err(_) => return Sent::InRing,
            }
        }
        self.keep(header, payload)
    }

    #[inline(always)]
    fn try_push(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), RingError> {
        self.producer
            .push(header.kind(), header.aux(), header.time, payload)?;
        if self.producer.unpublished() >= PUBLISH_BYTES {
            self.producer.publish();
        }
        Ok(())
    }

    #[cold]
    fn keep(&mut self, header: FrameHeader, payload: &[u8]) -> Sent {
        let first = !std::mem::replace(&mut self.is_full, true);
        self.overflow.push(header, payload);
        if header.kind() == FrameKind::BARRIER {
            self.waiting = Some(header.time);
        }
        if first {
            Sent::NowFull
        } else {
            Sent::StillFull
        }
    }

    /// Sends a barrier ahead of everything that the ring has no room for, and returns the data overtaken.
    fn overtake(&mut self, barrier: FrameHeader) -> FrameLog {
        let mut overtaken = FrameLog::default();
        let mut kept = FrameLog::default();
        let mut is_behind = false;
        for (header, payload) in self.overflow.frames() {
            if header.kind() == FrameKind::BARRIER && header.time == barrier.time {
                is_behind = true;
                continue;
            }
            if !is_behind {
                overtaken.add(header, payload);
            }
            kept.push(header, payload);
        }
        self.overflow.clear();
        self.overflow.append(&kept);
        self.overtaking = Some(barrier);
        self.waiting = Some(barrier.time);
        self.is_full = !self.push_overtaking() || !self.overflow.is_empty();
        overtaken
    }

    /// Pushes the overtaking barrier, if there is one. Returns whether none is left to push.
    fn push_overtaking(&mut self) -> bool {
        let Some(barrier) = self.overtaking else {
            return true;
        };
        let (kind, aux, id) = (barrier.kind(), barrier.aux(), barrier.time);
        let pushed = self.producer.push_reserved(kind, aux, id);
        self.producer.publish();
        if !matches!(pushed, Err(RingError::Full { .. })) {
            self.overtaking = None;
            self.has_sent(id);
        }
        self.overtaking.is_none()
    }

    /// Notes that a barrier has entered the ring.
    fn has_sent(&mut self, barrier: Timestamp) {
        self.waiting.take_if(|waiting| *waiting == barrier);
    }

    /// Moves what fits from the overflow into the ring; returns whether nothing is left.
    fn drain(&mut self) -> bool {
        if !self.push_overtaking() {
            return false;
        }
        while let Some((header, payload)) = self.overflow.front() {
            let pushed = self
                .producer
                .push(header.kind(), header.aux(), header.time, payload);
            if matches!(pushed, Err(RingError::Full { .. })) {
                self.producer.publish();
                return false;
            }
            if header.kind() == FrameKind::BARRIER {
                self.has_sent(header.time);
            }
            self.overflow.pop_front();
        }
        self.is_full = false;
        self.producer.publish();
        true
    }
}

/// Fails the subtask: the record fits no ring, not even an empty one.
#[cold]
fn too_large(size: usize, limit: usize) -> ! {
    raise(OperatorError::RecordTooLarge {
        size,
        limit,
        capacity: RingOptions::capacity_for(size),
    })
}

/// What happened to a frame.
#[derive(PartialEq, Eq)]
enum Sent {
    InRing,
    NowFull,
    StillFull,
}

/// Ends a region: distributes records of type `T` over rings, by `route`.
pub(crate) struct ResultPartition<T: ?Sized, R> {
    channels: Vec<Channel>,
    route: R,
    scratch: Scratch,
    /// How many channels have an overflow.
    full: usize,
    /// Whether the end of input was sent.
    ended: bool,
    /// Present if barriers may overtake.
    sent_state: Option<SentState>,
    sent: u64,
    flushes: u32,
    metrics: PartitionMetrics,
    record: std::marker::PhantomData<fn(&T)>,
}

/// A sender's state for the data that its barriers overtake.
struct SentState {
    channels: Channels,
    /// Those of this sender.
    ids: Vec<ChannelId>,
    state: ChannelState,
    /// The last barrier.
    barrier: Option<FrameHeader>,
    /// Whether it was made to overtake after it had been sent.
    was_told: bool,
}

#[derive(Default)]
struct PartitionMetrics {
    records_out: Counter,
    times_full: Counter,
    ring_bytes: Gauge,
}

impl<T: Record + ?Sized, R> ResultPartition<T, R> {
    /// Creates an end in these rings; `channels` is given if barriers may overtake.
    pub(crate) fn new(producers: Vec<Producer>, route: R, channels: Option<Channels>) -> Self {
        let sent_state = channels.map(|channels| SentState {
            ids: Vec::new(),
            state: ChannelState::of::<Far<T>>(&channels.edge, SENT),
            channels,
            barrier: None,
            was_told: false,
        });
        ResultPartition {
            sent_state,
            channels: producers.into_iter().map(Channel::new).collect(),
            route,
            scratch: Scratch::new(),
            full: 0,
            ended: false,
            sent: 0,
            flushes: 0,
            metrics: PartitionMetrics::default(),
            record: std::marker::PhantomData,
        }
    }

    /// Sends a barrier, in line or ahead of everything that is not in a ring yet.
    fn send_barrier(&mut self, barrier: Barrier) {
        let id = Timestamp(barrier.checkpoint.cast_signed());
        let header = FrameHeader::new(FrameKind::BARRIER, barrier.options, 0, id);
        if let Some(sent) = &mut self.sent_state {
            (sent.barrier, sent.was_told) = (Some(header), false);
        }
        if barrier.overtakes() && self.sent_state.is_some() {
            for channel in &mut self.channels {
                self.full += usize::from(channel.end_run() == Sent::NowFull);
            }
            self.overtake(header, |_| true);
        } else if !self.ended {
            // Once the input has ended, receivers learn of checkpoints by themselves.
            self.broadcast(FrameKind::BARRIER, barrier.options, id);
        }
    }

    /// Makes a barrier overtake what waits for room in the channels that are `wanted`, and stores the overtaken data. A
    /// channel whose end is already in the ring, so that nothing more is to come, needs no barrier.
    fn overtake(&mut self, barrier: FrameHeader, wanted: impl Fn(&Channel) -> bool) {
        let Some(sent) = &mut self.sent_state else {
            return;
        };
        let checkpoint = barrier.time.0.cast_unsigned();
        for (channel, id) in self.channels.iter_mut().zip(&sent.ids) {
            let was_full = channel.is_full;
            if !wanted(channel) || (self.ended && !was_full) {
                continue;
            }
            let overtaken = channel.overtake(barrier);
            if !seeded("sent-not-kept") {
                sent.state.add(checkpoint, *id, overtaken);
            }
            self.full += usize::from(channel.is_full);
            self.full -= usize::from(was_full);
        }
    }

    fn broadcast(&mut self, kind: FrameKind, aux: u32, time: Timestamp) {
        let header = FrameHeader::new(kind, aux, 0, time);
        for channel in &mut self.channels {
            self.full += usize::from(channel.end_run() == Sent::NowFull);
            self.full += usize::from(channel.send(header, &[]) == Sent::NowFull);
        }
    }
}

impl<T: Record + ?Sized, R: Send> Operator for ResultPartition<T, R> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let metrics = cx.operator_metrics(&cx.subtask.vertex);
        self.metrics = PartitionMetrics {
            records_out: metrics.counter("records_out"),
            times_full: metrics.counter("output_full_times"),
            ring_bytes: metrics.gauge("output_ring_bytes"),
        };
        let capacity: usize = self.channels.iter().map(|c| c.producer.capacity()).sum();
        metrics
            .gauge("output_ring_capacity_bytes")
            .set(capacity as i64);
        if let Some(sent) = &mut self.sent_state {
            sent.ids = sent.channels.of_sender(cx.subtask.index);
        }
        Ok(())
    }

    fn begin(&mut self, _now: Timestamp) {}

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Watermark(at) => self.broadcast(FrameKind::WATERMARK, 0, at),
            Signal::Idle => self.broadcast(FrameKind::IDLE, 0, Timestamp::MIN),
            Signal::Active => self.broadcast(FrameKind::ACTIVE, 0, Timestamp::MIN),
            Signal::Barrier(barrier) => self.send_barrier(barrier),
            Signal::End => {
                self.broadcast(FrameKind::END, 0, Timestamp::MAX);
                self.ended = true;
            }
            // Splits concern only the region that reads them; every region learns of checkpoints by itself.
            Signal::Split(_) | Signal::SplitEnd(_) | Signal::CheckpointComplete(_) => {}
            Signal::CheckpointAborted(checkpoint) => {
                if let Some(sent) = &mut self.sent_state {
                    sent.state.abort(checkpoint);
                }
            }
        }
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.full == 0
    }

    fn takes_barrier(&self) -> bool {
        true
    }

    fn resume(&mut self, _budget: &mut Budget) {
        for channel in self.channels.iter_mut().filter(|c| c.is_full) {
            self.full -= usize::from(channel.drain());
        }
    }

    fn flush(&mut self) {
        for channel in &mut self.channels {
            self.full += usize::from(channel.end_run() == Sent::NowFull);
            channel.producer.publish();
        }
        self.metrics.records_out.set(self.sent);
        if self.full > 0 {
            self.metrics.times_full.add(1);
        }
        self.flushes = self.flushes.wrapping_add(1);
        if self.flushes.is_multiple_of(FILL_INTERVAL) {
            let used = |channel: &Channel| channel.producer.capacity() - channel.producer.free();
            let used: usize = self.channels.iter().map(used).sum();
            self.metrics.ring_bytes.set(used as i64);
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    /// Writes what the checkpoint's barrier has overtaken, once it has arrived and is in every ring.
    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let Some(sent) = &mut self.sent_state else {
            return true;
        };
        let checkpoint = Timestamp(out.checkpoint().cast_signed());
        let Some(barrier) = sent.barrier.filter(|barrier| barrier.time >= checkpoint) else {
            return false;
        };
        if barrier.time == checkpoint {
            if out.overtakes() && !std::mem::replace(&mut sent.was_told, true) {
                let options = barrier.aux() | Barrier::UNALIGNED;
                let header = FrameHeader::new(FrameKind::BARRIER, options, 0, barrier.time);
                let ended = self.ended;
                self.overtake(header, |channel| {
                    ended || channel.waiting == Some(barrier.time)
                });
            }
            let mut channels = self.channels.iter();
            if channels.any(|channel| channel.waiting == Some(barrier.time)) {
                return false;
            }
        }
        if let Some(sent) = &mut self.sent_state {
            sent.state.write(out);
        }
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

impl<T, R> Push<T> for ResultPartition<T, R>
where
    T: Record + ?Sized,
    R: Route<Far<T>>,
{
    #[inline(always)]
    fn push(&mut self, record: &T, at: Timestamp) {
        self.sent += 1;
        self.send(record, at);
    }

    #[inline(always)]
    fn push_run(&mut self, run: &impl RecordRun<T>, wanted: usize) -> usize {
        let mut records = run.part(0..wanted);
        while self.full == 0
            && let Some((record, at)) = records.next()
        {
            self.send(record, at);
        }
        let sent = wanted - records.len();
        self.sent += sent as u64;
        sent
    }
}

impl<T, R> ResultPartition<T, R>
where
    T: Record + ?Sized,
    R: Route<Far<T>>,
{
    #[inline(always)]
    fn send(&mut self, record: &T, at: Timestamp) {
        let far = <T::Form as Form<T>>::far(record, &mut self.scratch);
        match self.route.target(far) {
            Target::One(channel) => {
                if self.channels[channel].send_record(far, at) == Sent::NowFull {
                    self.full += 1;
                }
            }
            Target::All => {
                for channel in &mut self.channels {
                    let sent = channel.send_record(far, at);
                    self.full += usize::from(sent == Sent::NowFull);
                }
            }
        }
    }
}
