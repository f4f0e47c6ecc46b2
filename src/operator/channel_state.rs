//! Channel state: what was in flight between two subtasks when a barrier overtook it.
//!
//! An unaligned barrier is forwarded ahead of everything that is queued before it (Flink's *channel state*;
//! Chandy and Lamport, *Distributed Snapshots*). What it overtook belongs to the checkpoint, and is stored in two
//! states of the exchange:
//!
//! - `received`: what was in the rings, or arrived, before a receiver had each one's barrier;
//! - `sent`: what the senders had not been able to put into their rings.
//!
//! In place of a key's type, their schemas name how the exchange distributes records: what was sent by one rule is
//! not routed again by another ([`Edge::check`]).
//!
//! Each value is a frame (a record, a run of records or a watermark) as it appears in a ring:
//!
//! ```text
//! length u32 │ header (16 bytes) │ payload          namespace: senders−1 │ receivers−1 │ sender │ receiver
//! ```
//! The frames of a channel are preceded by what its receiver knew of it at the barrier, its watermark and whether
//! it was idle, as frames whose `aux` is [`KNOWN`]. See [`channel_replay`](super::channel_replay) for how a job
//! resumes from this.

use rkyv::util::AlignedVec;

use crate::checkpoint::{
    CheckpointError, PieceKind, Restored, SnapshotOutput, StateRef, StateReport,
};
use crate::record::{
    FRAME_ALIGN, FormError, FrameHeader, FrameKind, HEADER_SIZE, Wire, take_item, visit_run,
    with_length,
};
use crate::state::{StateKind, StateSchema, TypeLayout};
use crate::time::Timestamp;

use super::edge::Edge;

/// The `aux` of a frame that says what was known at the barrier.
pub(super) const KNOWN: u32 = 1;

/// How many bits a subtask number takes in a namespace.
const INDEX_BITS: u32 = 15;

/// One ring of an exchange: its sender and receiver, and how many there are of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChannelId {
    pub(crate) senders: u32,
    pub(crate) receivers: u32,
    pub(crate) sender: u32,
    pub(crate) receiver: u32,
}

impl ChannelId {
    /// Returns the namespace of this channel's frames.
    fn namespace(self) -> i64 {
        let parts = [
            self.senders - 1,
            self.receivers - 1,
            self.sender,
            self.receiver,
        ];
        parts
            .into_iter()
            .fold(0, |all, part| all << INDEX_BITS | i64::from(part))
    }

    fn of_namespace(namespace: i64) -> Self {
        let part = |place: u32| {
            let mask = (1 << INDEX_BITS) - 1;
            (namespace >> (place * INDEX_BITS) & mask) as u32
        };
        ChannelId {
            senders: part(3) + 1,
            receivers: part(2) + 1,
            sender: part(1),
            receiver: part(0),
        }
    }
}

/// Frames, in order, encoded as values: in-flight data, or what waits for room in a ring.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameLog {
    bytes: Vec<u8>,
    /// How many bytes have been taken off the front.
    taken: usize,
}

impl FrameLog {
    /// Appends a frame.
    pub(crate) fn push(&mut self, header: FrameHeader, payload: &[u8]) {
        with_length(None, &mut self.bytes, |bytes| {
            bytes.extend_from_slice(&header.to_bytes());
            bytes.extend_from_slice(payload);
        });
    }

    /// Appends a frame if it is replayed by a restored job: barriers and ends are sent anew.
    pub(crate) fn add(&mut self, header: FrameHeader, payload: &[u8]) {
        if !matches!(header.kind(), FrameKind::BARRIER | FrameKind::END) {
            self.push(header, payload);
        }
    }

    /// Returns what has not been taken.
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Returns the frame at the front.
    pub(crate) fn front(&self) -> Option<(FrameHeader, &[u8])> {
        self.frames().next()
    }

    /// Removes the frame at the front; there must be one. The memory is kept.
    pub(crate) fn pop_front(&mut self) {
        let mut rest = &self.bytes[self.taken..];
        take_item(None, &mut rest).expect("a log's own frames");
        self.taken = self.bytes.len() - rest.len();
        if self.is_empty() {
            self.clear();
        }
    }

    /// Removes all frames. The memory is kept.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }

    /// Appends what is known of a channel.
    pub(crate) fn add_known(&mut self, watermark: Timestamp, is_idle: bool) {
        self.add(
            FrameHeader::new(FrameKind::WATERMARK, KNOWN, 0, watermark),
            &[],
        );
        if is_idle {
            self.add(
                FrameHeader::new(FrameKind::IDLE, KNOWN, 0, Timestamp::MIN),
                &[],
            );
        }
    }

    /// Appends the frames of another log.
    pub(crate) fn append(&mut self, other: &FrameLog) {
        self.bytes.extend_from_slice(other.bytes());
    }

    /// Calls `visit` with all records and signals, in order.
    pub(super) fn visit<V: Wire + ?Sized>(
        &self,
        visit: &mut dyn FnMut(InFlight<'_, V>),
    ) -> Result<(), FormError> {
        let mut aligned = AlignedVec::<FRAME_ALIGN>::new();
        self.frames().try_for_each(|(header, payload)| {
            aligned.clear();
            aligned.extend_from_slice(payload);
            visit_frame(header, &aligned, visit)
        })
    }

    /// Returns the frames, in order.
    pub(crate) fn frames(&self) -> impl Iterator<Item = (FrameHeader, &[u8])> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            let frame = (!rest.is_empty()).then(|| take_frame(&mut rest))?;
            frame.ok()
        })
    }
}

/// Splits the next frame off the front of `bytes`.
fn take_frame<'a>(bytes: &mut &'a [u8]) -> Result<(FrameHeader, &'a [u8]), FormError> {
    let all = *bytes;
    let value = take_item(None, bytes)?;
    let parts = value.split_first_chunk::<HEADER_SIZE>();
    let malformed = || FormError::new::<FrameHeader>(all, "not a frame");
    let (header, payload) = parts.ok_or_else(malformed)?;
    let header = FrameHeader::from_bytes(*header);
    if header.length as usize != payload.len() {
        return Err(malformed());
    }
    Ok((header, payload))
}

/// The state in which a checkpoint stores the in-flight data of one side of an exchange.
#[derive(Debug)]
pub(crate) struct ChannelState {
    state: StateRef,
    schema: StateSchema,
    checkpoint: u64,
    logs: Vec<(ChannelId, FrameLog)>,
}

/// The state of what the receivers of an exchange had not read yet.
pub(crate) const RECEIVED: &str = "received";
/// The state of what its senders had not put into their rings yet.
pub(crate) const SENT: &str = "sent";

impl ChannelState {
    /// Creates the state `name` of an edge whose records are of type `V`.
    pub(crate) fn of<V: Wire + ?Sized>(edge: &Edge, name: &str) -> Self {
        ChannelState {
            state: StateRef::new(&edge.uid, name),
            schema: StateSchema {
                name: name.into(),
                kind: StateKind::InFlight,
                key: edge.layout(),
                // Whole frames are kept, which may be of any length.
                value: TypeLayout {
                    length: None,
                    ..TypeLayout::of_wire::<V>()
                },
            },
            checkpoint: 0,
            logs: Vec::new(),
        }
    }

    /// Adds what a channel had in flight for a checkpoint. Leftovers of an earlier one are dropped.
    pub(crate) fn add(&mut self, checkpoint: u64, channel: ChannelId, log: FrameLog) {
        if checkpoint != self.checkpoint {
            self.checkpoint = checkpoint;
            self.logs.clear();
        }
        if !log.is_empty() {
            self.logs.push((channel, log));
        }
    }

    /// Drops what was added for a checkpoint that will not complete.
    pub(crate) fn abort(&mut self, checkpoint: u64) {
        if checkpoint == self.checkpoint {
            self.logs.clear();
        }
    }

    /// Writes what was added for the checkpoint of `out`; does not report the state if that is nothing.
    pub(crate) fn write(&mut self, out: &mut SnapshotOutput<'_>) {
        if out.checkpoint() != self.checkpoint || self.logs.is_empty() {
            return;
        }
        for (channel, log) in self.logs.drain(..) {
            let kind = (PieceKind::Values, channel.namespace());
            let (mut count, mut bytes) = (0, Vec::new());
            let mut rest = log.bytes();
            while !rest.is_empty() {
                let before = rest;
                take_item(None, &mut rest).expect("a log's own frames");
                bytes.extend_from_slice(&before[..before.len() - rest.len()]);
                count += 1;
                out.put(&self.state, kind, &mut count, &mut bytes, rest.is_empty());
            }
        }
        out.report(StateReport::without_keys(&self.state, &self.schema));
    }

    /// Calls `visit` with every frame that a checkpoint has of this state, after checking it, in the order in which
    /// they were in flight in each channel.
    pub(super) fn restore<V: Wire + ?Sized>(
        &self,
        restored: &Restored,
        visit: &mut dyn FnMut(ChannelId, InFlight<'_, V>),
    ) -> Result<(), CheckpointError> {
        if restored.agreed(&self.state, &self.schema)?.is_none() {
            return Ok(());
        }
        let mut aligned = AlignedVec::<FRAME_ALIGN>::new();
        restored.visit(&self.state, |piece| {
            let channel = ChannelId::of_namespace(piece.namespace);
            let mut rest = piece.bytes;
            while piece.kind == PieceKind::Values && !rest.is_empty() {
                let (header, payload) = take_frame(&mut rest)?;
                aligned.clear();
                aligned.extend_from_slice(payload);
                visit_frame::<V>(header, &aligned, &mut |in_flight| {
                    visit(channel, in_flight);
                })?;
            }
            Ok(())
        })
    }
}

/// An element that was in flight.
#[derive(Debug)]
pub(crate) enum InFlight<'a, V: ?Sized> {
    Record(&'a V, Timestamp),
    /// A frame without payload: a watermark or a change of idleness.
    Signal(FrameHeader),
}

/// Calls `visit` with the records of a frame, or the signal that it is, after checking it. The payload must start at
/// a multiple of [`FRAME_ALIGN`].
fn visit_frame<V: Wire + ?Sized>(
    header: FrameHeader,
    payload: &[u8],
    visit: &mut dyn FnMut(InFlight<'_, V>),
) -> Result<(), FormError> {
    match header.kind() {
        FrameKind::RECORD => visit(InFlight::Record(V::from_bytes(payload)?, header.time)),
        FrameKind::RUN => visit_run(header, payload, &mut |record, at| {
            visit(InFlight::Record(record, at));
        })?,
        FrameKind::WATERMARK | FrameKind::IDLE | FrameKind::ACTIVE => {
            visit(InFlight::Signal(header));
        }
        _ => return Err(FormError::new::<V>(payload, "not a frame that is replayed")),
    }
    Ok(())
}
