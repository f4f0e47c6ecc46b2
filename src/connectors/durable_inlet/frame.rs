//! The binary format of a log.
//!
//! ```text
//! segment  "THALWEGI" format:u32 zero:u32 log:u64 layout:u64 first:u64 checksum:u64    48 bytes
//! frame    "TWFR" length:u32 count:u64 first:u64 checksum:u64                32 bytes, then `length`
//! record   length:u32 zero:u32 time:i64                                      16 bytes, then the payload
//! ```
//! All numbers are little-endian, and frames and payloads are aligned to 16 bytes. Each sync writes one frame, whose
//! checksum covers its header and all of its records: a frame was either written completely or never acknowledged,
//! and only the last one can be torn, unless it is also the first of its segment.

use xxhash_rust::xxh3::Xxh3Default;

use crate::time::Timestamp;

/// The size of a segment's header.
pub(super) const SEGMENT_HEADER_SIZE: usize = 48;
/// The size of a frame's header.
pub(super) const HEADER_SIZE: usize = 32;
pub(super) const RECORD_HEADER_SIZE: usize = 16;
/// The version of the format.
pub(super) const FORMAT: u32 = 2;
/// The maximum total size of a frame's records, in bytes.
pub(super) const FRAME_MAX: usize = 64 << 20;

const SEGMENT_MAGIC: [u8; 8] = *b"THALWEGI";
const FRAME_MAGIC: [u8; 4] = *b"TWFR";
/// The offset of the checksum in a frame's header.
const CHECKSUM_AT: usize = HEADER_SIZE - 8;
/// The offset of the checksum in a segment's header.
const SEGMENT_CHECKSUM_AT: usize = SEGMENT_HEADER_SIZE - 8;

/// The checksum of a header, which ends with it, and of what follows.
fn checksum(header: &[u8], body: &[u8]) -> [u8; 8] {
    let mut hasher = Xxh3Default::new();
    hasher.update(&header[..header.len() - 8]);
    hasher.update(body);
    hasher.digest().to_le_bytes()
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&bytes[at..at + N]);
    number
}

/// The header of a segment.
pub(super) struct SegmentHeader {
    /// What tells the log from others.
    pub(super) log: u64,
    /// A hash of the layout of its records.
    pub(super) layout: u64,
    /// The number of the first record.
    pub(super) first: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_SIZE] {
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        for (at, number) in [(16, self.log), (24, self.layout), (32, self.first)] {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let checksum = checksum(&bytes, &[]);
        bytes[SEGMENT_CHECKSUM_AT..].copy_from_slice(&checksum);
        bytes
    }

    /// The format of a segment that begins with these bytes.
    pub(super) fn format(bytes: &[u8; SEGMENT_HEADER_SIZE]) -> Option<u32> {
        (bytes[..8] == SEGMENT_MAGIC).then(|| u32::from_le_bytes(number(bytes, 8)))
    }

    pub(super) fn decode(bytes: &[u8; SEGMENT_HEADER_SIZE]) -> Option<Self> {
        let is_valid = bytes[SEGMENT_CHECKSUM_AT..] == checksum(bytes, &[]);
        (Self::format(bytes) == Some(FORMAT) && is_valid).then(|| SegmentHeader {
            log: u64::from_le_bytes(number(bytes, 16)),
            layout: u64::from_le_bytes(number(bytes, 24)),
            first: u64::from_le_bytes(number(bytes, 32)),
        })
    }
}

/// The header of a frame.
#[derive(Clone, Copy)]
pub(super) struct FrameHeader {
    /// The size of the records in bytes.
    pub(super) length: usize,
    /// The number of records.
    pub(super) count: u64,
    /// The number of the first record.
    pub(super) first: u64,
}

impl FrameHeader {
    /// Decodes a header. Whether it is intact can only be verified once the body has been read.
    pub(super) fn decode(bytes: &[u8; HEADER_SIZE]) -> Option<Self> {
        let length = u32::from_le_bytes(number(bytes, 4)) as usize;
        let valid = bytes[..4] == FRAME_MAGIC && length <= FRAME_MAX && length.is_multiple_of(16);
        valid.then(|| FrameHeader {
            length,
            count: u64::from_le_bytes(number(bytes, 8)),
            first: u64::from_le_bytes(number(bytes, 16)),
        })
    }

    /// Whether the checksum matches the header and the records.
    pub(super) fn is_valid(bytes: &[u8; HEADER_SIZE], body: &[u8]) -> bool {
        bytes[CHECKSUM_AT..] == checksum(bytes, body)
    }
}

/// A frame under construction.
#[derive(Debug)]
pub(super) struct FrameBuilder {
    bytes: Vec<u8>,
    count: u64,
}

impl FrameBuilder {
    pub(super) fn new() -> Self {
        FrameBuilder {
            bytes: vec![0; HEADER_SIZE],
            count: 0,
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether a record with a payload of `size` bytes still fits.
    pub(super) fn has_room(&self, size: usize) -> bool {
        let record = RECORD_HEADER_SIZE + size.next_multiple_of(16);
        self.bytes.len() - HEADER_SIZE + record <= FRAME_MAX
    }

    /// Appends a record.
    pub(super) fn push(&mut self, payload: &[u8], at: Timestamp) {
        self.bytes
            .extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&at.0.to_le_bytes());
        self.bytes.extend_from_slice(payload);
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        self.count += 1;
    }

    /// Completes the frame; its first record gets the number `first`.
    pub(super) fn finish(&mut self, first: u64) -> &[u8] {
        let (header, body) = self.bytes.split_at_mut(HEADER_SIZE);
        header[..4].copy_from_slice(&FRAME_MAGIC);
        header[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
        header[8..16].copy_from_slice(&self.count.to_le_bytes());
        header[16..24].copy_from_slice(&first.to_le_bytes());
        let checksum = checksum(header, body);
        header[CHECKSUM_AT..].copy_from_slice(&checksum);
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.truncate(HEADER_SIZE);
        self.count = 0;
    }
}

/// Splits the next record off the front of a frame's records and returns its timestamp and payload.
pub(super) fn take_record<'a>(body: &mut &'a [u8]) -> Option<(Timestamp, &'a [u8])> {
    let (header, rest) = body.split_first_chunk::<RECORD_HEADER_SIZE>()?;
    let length = u32::from_le_bytes(number(header, 0)) as usize;
    let (padded, rest) = rest.split_at_checked(length.checked_next_multiple_of(16)?)?;
    *body = rest;
    let at = Timestamp(i64::from_le_bytes(number(header, 8)));
    Some((at, &padded[..length]))
}
