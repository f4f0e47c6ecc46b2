//! An output channel: a ring to one subtask, and what does not fit into it.

use crate::operator::{FrameLog, OperatorError, raise};
use crate::record::{FrameHeader, FrameKind, Wire};
use crate::ring::{Producer, RingError, RingOptions, RunProducer};
use crate::time::Timestamp;

/// A channel publishes when this many bytes have accumulated, even within a batch.
const PUBLISH_BYTES: usize = 8 * 1024;

/// The usual length of a run.
const RUN_BYTES: usize = 4 * 1024;

/// One ring to one subtask, and what did not fit. It starts on a cache line, so that a channel is found by a
/// shift, which happens for every record.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct OutputChannel {
    ring: RunProducer,
    backlog: Backlog,
}

impl OutputChannel {
    pub(super) fn new(producer: Producer) -> Self {
        OutputChannel {
            ring: RunProducer::new(producer, RUN_BYTES),
            backlog: Backlog::default(),
        }
    }

    pub(super) fn ring(&self) -> &Producer {
        self.ring.ring()
    }

    /// Whether something waits for room in the ring: the overflow or an overtaking barrier.
    pub(super) fn is_full(&self) -> bool {
        self.backlog.is_full
    }

    /// Whether this barrier waits for room in the ring.
    pub(super) fn awaits(&self, barrier: Timestamp) -> bool {
        self.backlog.waiting == Some(barrier)
    }

    /// Sends a record: as part of the run, or as a frame of its own.
    #[inline(always)]
    pub(super) fn send_record<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> Sent {
        if self.ring.push(record, at) {
            return Sent::InRing;
        }
        self.begin_run(record, at)
    }

    /// Sends the accumulated run, and starts one with this record or sends the record as a frame of its own.
    #[cold]
    #[inline(never)]
    fn begin_run<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> Sent {
        let sent = self.end_run();
        if self.ring.begin(record, at, self.is_full()) {
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
    pub(super) fn end_run(&mut self) -> Sent {
        if let Some((ring, header, payload)) = self.ring.end() {
            return self.backlog.send(ring, header, payload);
        }
        publish_enough(self.ring.ring_mut());
        Sent::InRing
    }

    /// Sends a frame, after the run has been sent.
    pub(super) fn send(&mut self, header: FrameHeader, payload: &[u8]) -> Sent {
        self.backlog.send(self.ring.ring_mut(), header, payload)
    }

    /// Hands everything that is in the ring to its reader.
    pub(super) fn publish(&mut self) {
        self.ring.ring_mut().publish();
    }

    /// Sends a barrier ahead of everything that the ring has no room for, and returns the data overtaken.
    pub(super) fn overtake(&mut self, barrier: FrameHeader) -> FrameLog {
        self.backlog.overtake(self.ring.ring_mut(), barrier)
    }

    /// Moves what fits from the overflow into the ring; returns whether nothing is left.
    pub(super) fn drain(&mut self) -> bool {
        self.backlog.drain(self.ring.ring_mut())
    }
}

/// What did not fit into a ring.
#[derive(Debug, Default)]
struct Backlog {
    overflow: FrameLog,
    /// A barrier that enters the ring before the overflow.
    overtaking: Option<FrameHeader>,
    /// The last barrier, while it waits for room in the ring.
    waiting: Option<Timestamp>,
    /// Whether the overflow or an overtaking barrier waits for room in the ring.
    is_full: bool,
}

impl Backlog {
    /// Sends a frame by this ring, or keeps it.
    #[inline(always)]
    fn send(&mut self, ring: &mut Producer, header: FrameHeader, payload: &[u8]) -> Sent {
        if !self.is_full {
            match ring.push(header.kind(), header.aux(), header.time, payload) {
                Ok(()) => {
                    publish_enough(ring);
                    return Sent::InRing;
                }
                Err(RingError::Full { .. }) => ring.publish(),
                Err(RingError::TooLarge { size, limit }) => too_large(size, limit),
                // There is no reader any more: the job is ending, and so will this subtask.
                Err(_) => return Sent::InRing,
            }
        }
        self.keep(header, payload)
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

    /// Sends a barrier ahead of everything kept, and returns the data overtaken.
    fn overtake(&mut self, ring: &mut Producer, barrier: FrameHeader) -> FrameLog {
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
        self.is_full = !self.push_overtaking(ring) || !self.overflow.is_empty();
        overtaken
    }

    /// Pushes the overtaking barrier, if there is one. Returns whether none is left to push.
    fn push_overtaking(&mut self, ring: &mut Producer) -> bool {
        let Some(barrier) = self.overtaking else {
            return true;
        };
        let (kind, aux, id) = (barrier.kind(), barrier.aux(), barrier.time);
        let pushed = ring.push_reserved(kind, aux, id);
        ring.publish();
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
    fn drain(&mut self, ring: &mut Producer) -> bool {
        if !self.push_overtaking(ring) {
            return false;
        }
        while let Some((header, payload)) = self.overflow.front() {
            let pushed = ring.push(header.kind(), header.aux(), header.time, payload);
            if matches!(pushed, Err(RingError::Full { .. })) {
                ring.publish();
                return false;
            }
            if header.kind() == FrameKind::BARRIER {
                self.has_sent(header.time);
            }
            self.overflow.pop_front();
        }
        self.is_full = false;
        ring.publish();
        true
    }
}

/// Publishes if enough has accumulated.
#[inline(always)]
fn publish_enough(ring: &mut Producer) {
    if ring.unpublished() >= PUBLISH_BYTES {
        ring.publish();
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
pub(super) enum Sent {
    InRing,
    NowFull,
    StillFull,
}
