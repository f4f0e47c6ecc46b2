//! The result partition: the end of a region in rings, one to each subtask behind the exchange.
//!
//! Records are copied into the rings' memory and published at the end of a batch, or when a good many
//! bytes have gathered. Those of one length go in runs, see [`RunWriter`]. A ring that is full never blocks: what does not fit is kept in the channel's
//! *overflow*, the partition stops being ready, and its subtask is not given another record until the
//! overflow is gone. So the overflow holds what one record caused at most, and back-pressure is a
//! state that can be seen and counted.

use crate::checkpoint::SnapshotOutput;
use crate::metrics::{Counter, Gauge};
use crate::operator::{
    Budget, OpenContext, Operator, OperatorError, Push, Route, Signal, Target, raise,
};
use crate::record::{
    Far, Form, FrameHeader, FrameKind, HEADER_SIZE, Record, RunWriter, Scratch, Wire,
    travels_in_runs,
};
use crate::ring::{Producer, RingError};
use crate::time::Timestamp;

/// A channel publishes when this many bytes have gathered, even inside a batch.
const PUBLISH_BYTES: usize = 8 * 1024;

/// A run goes into its ring when it has so many bytes, or a quarter of what the ring takes in one frame.
const RUN_BYTES: usize = 4 * 1024;

/// The rings' fill is looked at in every so many flushes: it reads what the consumers write.
const FILL_INTERVAL: u32 = 64;

/// One ring to one subtask, and what did not fit.
#[derive(Debug)]
struct Channel {
    producer: Producer,
    /// Records of one length that are not in the ring yet.
    run: RunWriter,
    /// How long a run may become.
    run_max: usize,
    /// Frames without padding: header, payload. Its memory is kept when it empties.
    overflow: Vec<u8>,
    /// How much of the overflow has gone into the ring already.
    drained: usize,
}

impl Channel {
    fn new(producer: Producer) -> Self {
        Channel {
            run_max: RUN_BYTES.min(producer.payload_max() / 4),
            producer,
            run: RunWriter::default(),
            overflow: Vec::new(),
            drained: 0,
        }
    }

    /// Sends a record: into the run, or as a frame of its own.
    #[inline(always)]
    fn send_record<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> Sent {
        if !travels_in_runs::<V>() {
            let payload = record.as_bytes();
            let header = FrameHeader::new(FrameKind::RECORD, 0, payload.len() as u32, at);
            return self.send(header, payload);
        }
        let mut sent = Sent::InRing;
        if !self.run.push(record, at) {
            sent = self.end_run();
            self.run.push(record, at);
        }
        if self.run.len() < self.run_max {
            return sent;
        }
        match (sent, self.end_run()) {
            (Sent::NowFull, _) => Sent::NowFull,
            (_, sent) => sent,
        }
    }

    /// Sends what the run has gathered.
    #[inline(never)]
    fn end_run(&mut self) -> Sent {
        if self.run.len() == 0 {
            return Sent::InRing;
        }
        let run = std::mem::take(&mut self.run);
        let (header, payload) = run.frame();
        let sent = self.send(header, payload);
        self.run = run;
        self.run.clear();
        sent
    }

    #[inline(always)]
    fn send(&mut self, header: FrameHeader, payload: &[u8]) -> Sent {
        if self.overflow.is_empty() {
            match self.try_push(header, payload) {
                Ok(()) => return Sent::InRing,
                Err(RingError::Full { .. }) => self.producer.publish(),
                Err(RingError::TooLarge { size, limit }) => {
                    raise(OperatorError::RecordTooLarge { size, limit })
                }
                // Nobody reads any more: the job is ending, and so will this subtask.
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
        let first = self.overflow.is_empty();
        let words = [
            u64::from(header.length)
                | u64::from(header.kind().as_u8()) << 32
                | u64::from(header.aux()) << 40,
            header.time.0 as u64,
        ];
        self.overflow
            .extend_from_slice(bytemuck::cast_slice(&words));
        self.overflow.extend_from_slice(payload);
        if first {
            Sent::NowFull
        } else {
            Sent::StillFull
        }
    }

    /// Moves what fits from the overflow into the ring; says whether nothing is left.
    fn drain(&mut self) -> bool {
        while self.drained < self.overflow.len() {
            let (header, payload) = frame_at(&self.overflow[self.drained..]);
            let pushed = self
                .producer
                .push(header.kind(), header.aux(), header.time, payload);
            if matches!(pushed, Err(RingError::Full { .. })) {
                self.producer.publish();
                return false;
            }
            self.drained += HEADER_SIZE + payload.len();
        }
        self.overflow.clear();
        self.drained = 0;
        self.producer.publish();
        true
    }
}

/// What became of a frame.
#[derive(PartialEq, Eq)]
enum Sent {
    InRing,
    NowFull,
    StillFull,
}

fn frame_at(bytes: &[u8]) -> (FrameHeader, &[u8]) {
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_ne_bytes(word)
    };
    let (shape, time) = (word(0), Timestamp(word(8) as i64));
    let kind = FrameKind::from_u8((shape >> 32) as u8);
    let header = FrameHeader::new(kind, (shape >> 40) as u32, shape as u32, time);
    (
        header,
        &bytes[HEADER_SIZE..HEADER_SIZE + header.length as usize],
    )
}

/// Ends a region: spreads records of type `T` over rings, by `route`.
pub(crate) struct ResultPartition<T: ?Sized, R> {
    channels: Vec<Channel>,
    route: R,
    scratch: Scratch,
    /// How many channels have an overflow.
    full: usize,
    /// The end of input was sent.
    ended: bool,
    sent: u64,
    flushes: u32,
    metrics: PartitionMetrics,
    record: std::marker::PhantomData<fn(&T)>,
}

#[derive(Default)]
struct PartitionMetrics {
    records_out: Counter,
    times_full: Counter,
    ring_bytes: Gauge,
}

impl<T: ?Sized, R> ResultPartition<T, R> {
    pub(crate) fn new(producers: Vec<Producer>, route: R) -> Self {
        ResultPartition {
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

    fn broadcast(&mut self, kind: FrameKind, aux: u32, time: Timestamp) {
        let header = FrameHeader::new(kind, aux, 0, time);
        for channel in &mut self.channels {
            self.full += usize::from(channel.end_run() == Sent::NowFull);
            self.full += usize::from(channel.send(header, &[]) == Sent::NowFull);
        }
    }
}

impl<T: ?Sized, R: Send> Operator for ResultPartition<T, R> {
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
        Ok(())
    }

    fn begin(&mut self, _now: Timestamp) {}

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Watermark(at) => self.broadcast(FrameKind::WATERMARK, 0, at),
            Signal::Idle => self.broadcast(FrameKind::IDLE, 0, Timestamp::MIN),
            Signal::Active => self.broadcast(FrameKind::ACTIVE, 0, Timestamp::MIN),
            // Whoever reads hears of checkpoints by itself once the input is at its end.
            Signal::Barrier(_) if self.ended => {}
            Signal::Barrier(barrier) => {
                let id = Timestamp(barrier.checkpoint.cast_signed());
                self.broadcast(FrameKind::BARRIER, barrier.options, id);
            }
            Signal::End => {
                self.broadcast(FrameKind::END, 0, Timestamp::MAX);
                self.ended = true;
            }
            // Splits are the business of the region that reads them; every region hears of checkpoints itself.
            Signal::Split(_)
            | Signal::SplitEnd(_)
            | Signal::CheckpointComplete(_)
            | Signal::CheckpointAborted(_) => {}
        }
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.full == 0
    }

    fn resume(&mut self, _budget: &mut Budget) {
        for channel in self.channels.iter_mut().filter(|c| !c.overflow.is_empty()) {
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

    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
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
        let far = <T::Form as Form<T>>::far(record, &mut self.scratch);
        self.sent += 1;
        match self.route.target(far) {
            Target::One(channel) => {
                let sent = self.channels[channel].send_record(far, at);
                self.full += usize::from(sent == Sent::NowFull);
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
