//! The frame: the bytes of an element in a ring, including its header.
//!
//! ```text
//!  0       4       5        8                16
//!  ├───────┼───────┼────────┼────────────────┼──── length bytes ───┬─ 0..15 ─┐
//!  │length │ kind  │ aux    │ time           │ payload             │ padding │
//!  │u32    │ u8    │ u24    │ i64            │                     │         │
//!  └───────┴───────┴────────┴────────────────┴─────────────────────┴─────────┘
//! ```
//! A frame starts at a multiple of 16 bytes, so its payload does, too: enough for every archive this crate accepts.
//! `length` is the payload's exact length, without the padding, because the root of an rkyv archive is at its end.
//! Signals have no payload: the watermark is `time`; a barrier's checkpoint id is the bits of `time`, and its options
//! are `aux`.

use crate::time::Timestamp;

/// Alignment, in bytes, of every frame and of every payload.
pub const FRAME_ALIGN: usize = 16;
/// Bytes of a frame header.
pub const HEADER_SIZE: usize = 16;

/// The kind of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(transparent)]
pub struct FrameKind(u8);

impl FrameKind {
    /// A record.
    pub const RECORD: FrameKind = FrameKind(0);
    /// A watermark, in `time`.
    pub const WATERMARK: FrameKind = FrameKind(1);
    /// The channel is idle: ignore it when computing the watermark.
    pub const IDLE: FrameKind = FrameKind(2);
    /// The channel is active again.
    pub const ACTIVE: FrameKind = FrameKind(3);
    /// A checkpoint barrier, with the checkpoint id in `time` and options in `aux`.
    pub const BARRIER: FrameKind = FrameKind(4);
    /// A checkpoint was cancelled upstream, with its id in `time`.
    pub const BARRIER_CANCELLED: FrameKind = FrameKind(5);
    /// No frame follows on this channel.
    pub const END: FrameKind = FrameKind(6);
    /// Packed records; the meaning of `aux` is up to whoever packs them.
    pub const RUN: FrameKind = FrameKind(7);
    /// Unused bytes up to the end of the ring's memory.
    pub const PAD: FrameKind = FrameKind(255);

    /// The kind's byte in the header.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self.0
    }
}

/// The first 16 bytes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct FrameHeader {
    /// Exact length of the payload in bytes.
    pub length: u32,
    kind_and_aux: u32,
    /// The record's timestamp, or the signal's value.
    pub time: Timestamp,
}

const _: () = assert!(size_of::<FrameHeader>() == HEADER_SIZE);
const _: () = assert!(HEADER_SIZE.is_multiple_of(FRAME_ALIGN));

impl FrameHeader {
    /// A header; only the low 24 bits of `aux` are kept.
    #[inline(always)]
    #[must_use]
    pub const fn new(kind: FrameKind, aux: u32, length: u32, time: Timestamp) -> Self {
        FrameHeader {
            length,
            kind_and_aux: kind.0 as u32 | aux << 8,
            time,
        }
    }

    /// Encodes the header as it is stored in a ring.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..4].copy_from_slice(&self.length.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.kind_and_aux.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.time.0.to_ne_bytes());
        bytes
    }

    /// Decodes a header.
    #[must_use]
    pub fn from_bytes(bytes: [u8; HEADER_SIZE]) -> Self {
        let [l0, l1, l2, l3, k0, k1, k2, k3, time @ ..] = bytes;
        FrameHeader {
            length: u32::from_ne_bytes([l0, l1, l2, l3]),
            kind_and_aux: u32::from_ne_bytes([k0, k1, k2, k3]),
            time: Timestamp(i64::from_ne_bytes(time)),
        }
    }

    /// The kind of the frame.
    #[inline(always)]
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        FrameKind(self.kind_and_aux as u8)
    }

    /// The 24 bits beside the kind.
    #[inline(always)]
    #[must_use]
    pub const fn aux(&self) -> u32 {
        self.kind_and_aux >> 8
    }

    /// Bytes from this frame's start to the next one's.
    #[inline(always)]
    #[must_use]
    pub const fn stride(&self) -> usize {
        frame_size(self.length as usize)
    }
}

/// The size in bytes of a frame with `length` payload bytes: header, payload, padding.
#[inline(always)]
#[must_use]
pub const fn frame_size(length: usize) -> usize {
    HEADER_SIZE + length.next_multiple_of(FRAME_ALIGN)
}
