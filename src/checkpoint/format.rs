//! The binary format of checkpoint files.
//!
//! A checkpoint is a *manifest* and the *segments* that it names. Numbers are little-endian; the contents of a state's
//! pieces are in the native layout of the machine that wrote them, which the *platform* field identifies. A file of
//! another version, platform or key hash is rejected with an error that names the mismatch. The tables below are 8
//! bytes wide.
//!
//! # A segment: `segment-0000000012`
//!
//! Written once, from front to back: a header, blocks, an index of the blocks, a trailer. Its number is never reused in
//! its directory.
//! ```text
//! <--------------------------------------- 8 bytes ------------------------------------->
//! ==================================== header, 64 bytes =================================
//! | magic "THALWSEG"                                                                    |
//! | format version           (4) | platform: order, usize, align u64, align u128 (4×1)  |
//! | key hash version         (4) | key group assignment                            (4)  |
//! | max parallelism          (4) | 0                                               (4)  |
//! | the segment's number                                                                |
//! | the checkpoint that it was written for                                              |
//! | 0                                                                                   |
//! | checksum of the header up to here                                                   |
//! =========================== block, at a multiple of 16; 64 bytes ======================
//! | magic "BLOC"             (4) | kind (1) | 0                                    (3)  |
//! | namespace                                                                           |
//! | subtask                  (4) | index of the state among the segment's states   (4)  |
//! | how many entries, keys or values                                                    |
//! | length of the payload                                                               |
//! | offset of this block in the file                                                    |
//! | checksum of the payload                                                             |
//! | checksum of the block's header up to here                                           |
//! | payload …                                                                           |
//! | … zeros up to a multiple of 16                                                      |
//! ======================================== index ========================================
//! | number of states         (4) | number of blocks                                (4)  |
//! | of each state: length of the operator's uid (4), the uid, zeros up to a multiple of 8; |
//! |                length of the state's name   (4), the name, zeros up to a multiple of 8 |
//! | of each block:                                                                      |
//! |     kind (1) | 0 (3)         | subtask                                         (4)  |
//! |     index of its state   (4) | low half of the payload's checksum              (4)  |
//! |     namespace                                                                       |
//! |     offset                                                                          |
//! |     length of the payload                                                           |
//! |     how many                                                                        |
//! =================================== trailer, 48 bytes =================================
//! | magic "THALWEND"                                                                    |
//! | the segment's number                                                                |
//! | offset of the index                                                                 |
//! | length of the index                                                                 |
//! | checksum of the index                                                               |
//! | checksum of the trailer up to here                                                  |
//! =======================================================================================
//! ```
//! A block's payload begins at a multiple of 16, so that it can be decoded in place. A block records its own offset:
//! one that is found elsewhere is damaged. The trailer's checksum covers the index's checksum, which covers the
//! payloads', and the manifest repeats it: a segment cannot be mistaken for another, not even for one that another run
//! wrote with the same number and the same block lengths.
//!
//! # A manifest: `manifest-0000000007`
//!
//! Written under a temporary name (`new-0000000012`), synced and renamed; once the directory is synced, the checkpoint
//! is complete. The rename is the single step that makes it so. A manifest never changes after that.
//! ```text
//! ==================================== header, 96 bytes =================================
//! | magic "THALWMAN"                                                                    |
//! | format version           (4) | platform                                      (4×1)  |
//! | key hash version         (4) | key group assignment                            (4)  |
//! | max parallelism          (4) | 1 if it is a savepoint, else 0                  (4)  |
//! | the checkpoint's number                                                             |
//! | when it was begun: milliseconds since 1970                                          |
//! | when it was complete                                                                |
//! | entries in all of its blocks                                                        |
//! | bytes in all of its blocks                                                          |
//! | length of the file                                                                  |
//! | number of operators      (4) | number of segments                              (4)  |
//! | number of states         (4) | 0                                               (4)  |
//! ================================== of each operator ===================================
//! | parallelism              (4) | max parallelism                                 (4)  |
//! | uid: length (4), text, zeros up to a multiple of 8                                  |
//! ================================== of each segment ====================================
//! | number                                                                              |
//! | the checkpoint that it was written for                                              |
//! | length of the file                                                                  |
//! | checksum of its trailer                                                             |
//! =================================== of each state =====================================
//! | kind (1) | 0 (3)             | index of its operator                           (4)  |
//! | name                                                                                |
//! | the key's type: name; 1 if it has a length, else 0 (4), length (4), version (4), 0 (4) |
//! | the value's type, likewise                                                          |
//! | entries that it has: no more than its chains, in which every change counts          |
//! | number of chains         (4) | 0                                               (4)  |
//! | of each chain, that is, of each subtask:                                            |
//! |     subtask              (4) | number of links                                 (4)  |
//! |     of each link, the oldest first:                                                 |
//! |         index of its segment (4) | 0                                           (4)  |
//! |         entries in its blocks                                                       |
//! |         bytes in its blocks                                                         |
//! =======================================================================================
//! | checksum of everything up to here                                                   |
//! =======================================================================================
//! ```
//! All checksums are XXH3 (64 bits, seed 0).

use xxhash_rust::xxh3::xxh3_64;

use super::error::CheckpointError;
use super::fields::{FieldReader, FieldWriter};
use super::piece::PieceKind;
use crate::record::{FRAME_ALIGN, KEY_HASH_VERSION, KeyGroupAssignment, KeyHasher, MaxParallelism};

/// The version of everything above.
pub(super) const FORMAT_VERSION: u32 = 3;

pub(super) const SEGMENT_MAGIC: &[u8; 8] = b"THALWSEG";
pub(super) const TRAILER_MAGIC: &[u8; 8] = b"THALWEND";
pub(super) const MANIFEST_MAGIC: &[u8; 8] = b"THALWMAN";
pub(super) const BLOCK_MAGIC: &[u8; 4] = b"BLOC";

pub(super) const SEGMENT_HEADER_SIZE: usize = 64;
pub(super) const BLOCK_HEADER_SIZE: usize = 64;
pub(super) const BLOCK_ALIGN: usize = FRAME_ALIGN;
pub(super) const INDEX_ENTRY_SIZE: usize = 48;
pub(super) const TRAILER_SIZE: usize = 48;
pub(super) const MANIFEST_HEADER_SIZE: usize = 96;
pub(super) const CHECKSUM_SIZE: usize = 8;

const _: () = assert!(SEGMENT_HEADER_SIZE.is_multiple_of(BLOCK_ALIGN));
const _: () = assert!(BLOCK_HEADER_SIZE.is_multiple_of(BLOCK_ALIGN));
const _: () = assert!(BLOCK_ALIGN == 16);
const _: () = assert!(size_of::<Platform>() == 4);

/// The checksum used in all files.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The properties of a machine that determine the layout of a record's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Platform([u8; 4]);

impl Platform {
    /// This machine.
    pub(super) const HERE: Platform = Platform([
        if cfg!(target_endian = "little") { 1 } else { 2 },
        size_of::<usize>() as u8,
        align_of::<u64>() as u8,
        align_of::<u128>() as u8,
    ]);

    fn describe(self) -> String {
        let [order, pointer, align, wide] = self.0;
        let order = match order {
            1 => "little-endian",
            2 => "big-endian",
            _ => "of unknown byte order",
        };
        format!("{order}, {pointer}-byte pointers, u64 at {align}, u128 at {wide}")
    }
}

/// The fields of every file that decide who can read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    pub(super) assignment: KeyGroupAssignment,
    pub(super) max_parallelism: MaxParallelism,
}

impl Origin {
    pub(super) fn of(hasher: &KeyHasher) -> Self {
        Origin {
            assignment: hasher.assignment(),
            max_parallelism: hasher.max_parallelism(),
        }
    }

    /// Writes the first 28 bytes of a file.
    pub(super) fn write(self, magic: &[u8; 8], fields: &mut FieldWriter) {
        fields.raw(magic);
        fields.u32(FORMAT_VERSION);
        fields.raw(&Platform::HERE.0);
        fields.u32(KEY_HASH_VERSION);
        fields.u32(match self.assignment {
            KeyGroupAssignment::Hash => 0,
            KeyGroupAssignment::Flink => 1,
        });
        fields.u32(self.max_parallelism.get());
    }

    /// Reads the first 28 bytes of a file. Damage is checked later: a foreign file is reported as foreign even if its
    /// checksums are computed in another way.
    pub(super) fn read(
        file: &str,
        magic: &[u8; 8],
        fields: &mut FieldReader<'_>,
    ) -> Result<Self, CheckpointError> {
        let foreign = |what, found: String, wanted: String| CheckpointError::Foreign {
            file: file.to_owned(),
            what,
            found,
            wanted,
        };
        if fields.take(magic.len())? != magic {
            return Err(CheckpointError::damaged(
                file,
                0,
                "it does not begin as such a file does",
            ));
        }
        let version = fields.u32()?;
        if version != FORMAT_VERSION {
            let (found, wanted) = (version.to_string(), FORMAT_VERSION.to_string());
            return Err(foreign("format version", found, wanted));
        }
        let platform = fields.take(size_of::<Platform>())?;
        let platform = Platform(platform.try_into().expect("four bytes were taken"));
        if platform != Platform::HERE {
            let (found, wanted) = (platform.describe(), Platform::HERE.describe());
            return Err(foreign("the platform", found, wanted));
        }
        let version = fields.u32()?;
        if version != KEY_HASH_VERSION {
            let (found, wanted) = (version.to_string(), KEY_HASH_VERSION.to_string());
            return Err(foreign("key hash version", found, wanted));
        }
        let assignment = match fields.u32()? {
            0 => KeyGroupAssignment::Hash,
            1 => KeyGroupAssignment::Flink,
            _ => return Err(fields.damaged("there is no such key group assignment")),
        };
        let max = MaxParallelism::new(fields.u32()?);
        Ok(Origin {
            assignment,
            max_parallelism: max.map_err(|_| fields.damaged("the max parallelism is none"))?,
        })
    }
}

/// The header of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    pub(super) origin: Origin,
    pub(super) number: u64,
    pub(super) checkpoint: u64,
}

impl SegmentHeader {
    pub(super) fn write(self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        self.origin.write(SEGMENT_MAGIC, &mut fields);
        fields.u32(0);
        fields.u64(self.number);
        fields.u64(self.checkpoint);
        fields.u64(0);
        fields.u64(checksum(&fields.bytes));
        assert_eq!(fields.bytes.len(), SEGMENT_HEADER_SIZE);
        fields.bytes
    }

    pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut fields = FieldReader::new(file, bytes, 0);
        let origin = Origin::read(file, SEGMENT_MAGIC, &mut fields)?;
        fields.zeros(4)?;
        let (number, checkpoint) = (fields.u64()?, fields.u64()?);
        fields.zeros(8)?;
        check_sum(&mut fields, bytes, "the header's checksum is wrong")?;
        Ok(SegmentHeader {
            origin,
            number,
            checkpoint,
        })
    }
}

/// Reads the checksum at the end of `bytes` and compares it with that of everything before it.
fn check_sum(
    fields: &mut FieldReader<'_>,
    bytes: &[u8],
    what: &'static str,
) -> Result<u64, CheckpointError> {
    let sum = fields.u64()?;
    fields.end()?;
    match checksum(&bytes[..bytes.len() - CHECKSUM_SIZE]) == sum {
        true => Ok(sum),
        false => Err(fields.damaged(what)),
    }
}

/// Where a block is and what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    pub(super) kind: PieceKind,
    pub(super) subtask: u32,
    /// The index among the states of its segment.
    pub(super) state: u32,
    pub(super) namespace: i64,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) count: u64,
    /// The low half of the payload's checksum.
    pub(super) sum: u32,
}

impl Block {
    /// The block's total size in bytes, including its header and padding.
    pub(super) fn size(&self) -> Option<u64> {
        let padded = self.length.checked_next_multiple_of(BLOCK_ALIGN as u64)?;
        padded.checked_add(BLOCK_HEADER_SIZE as u64)
    }

    /// The block's header, given the checksum of its payload.
    pub(super) fn header(&self, payload: u64) -> [u8; BLOCK_HEADER_SIZE] {
        let mut header = [0; BLOCK_HEADER_SIZE];
        header[..4].copy_from_slice(BLOCK_MAGIC);
        header[4] = self.kind as u8;
        header[8..16].copy_from_slice(&self.namespace.to_le_bytes());
        header[16..20].copy_from_slice(&self.subtask.to_le_bytes());
        header[20..24].copy_from_slice(&self.state.to_le_bytes());
        header[24..32].copy_from_slice(&self.count.to_le_bytes());
        header[32..40].copy_from_slice(&self.length.to_le_bytes());
        header[40..48].copy_from_slice(&self.offset.to_le_bytes());
        header[48..56].copy_from_slice(&payload.to_le_bytes());
        let sum = checksum(&header[..56]);
        header[56..].copy_from_slice(&sum.to_le_bytes());
        header
    }

    pub(super) fn write(&self, fields: &mut FieldWriter) {
        fields.u8(self.kind as u8);
        fields.raw(&[0; 3]);
        fields.u32(self.subtask);
        fields.u32(self.state);
        fields.u32(self.sum);
        fields.i64(self.namespace);
        fields.u64(self.offset);
        fields.u64(self.length);
        fields.u64(self.count);
    }

    pub(super) fn read(fields: &mut FieldReader<'_>) -> Result<Self, CheckpointError> {
        let kind = PieceKind::from_u8(fields.u8()?);
        let kind = kind.ok_or_else(|| fields.damaged("there is no such kind of piece"))?;
        fields.zeros(3)?;
        let (subtask, state, sum) = (fields.u32()?, fields.u32()?, fields.u32()?);
        Ok(Block {
            kind,
            subtask,
            state,
            namespace: fields.i64()?,
            offset: fields.u64()?,
            length: fields.u64()?,
            count: fields.u64()?,
            sum,
        })
    }
}

/// The end of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trailer {
    pub(super) number: u64,
    pub(super) index_offset: u64,
    pub(super) index_length: u64,
    pub(super) index_checksum: u64,
}

impl Trailer {
    /// The trailer's bytes, and its checksum.
    pub(super) fn write(self) -> (Vec<u8>, u64) {
        let mut fields = FieldWriter::default();
        fields.raw(TRAILER_MAGIC);
        fields.u64(self.number);
        fields.u64(self.index_offset);
        fields.u64(self.index_length);
        fields.u64(self.index_checksum);
        let sum = checksum(&fields.bytes);
        fields.u64(sum);
        assert_eq!(fields.bytes.len(), TRAILER_SIZE);
        (fields.bytes, sum)
    }

    /// The trailer whose bytes begin at `start`, and its checksum.
    pub(super) fn read(
        file: &str,
        bytes: &[u8],
        start: u64,
    ) -> Result<(Self, u64), CheckpointError> {
        let mut fields = FieldReader::new(file, bytes, start);
        if fields.take(TRAILER_MAGIC.len())? != TRAILER_MAGIC {
            return Err(fields.damaged("it does not end as a segment does"));
        }
        let trailer = Trailer {
            number: fields.u64()?,
            index_offset: fields.u64()?,
            index_length: fields.u64()?,
            index_checksum: fields.u64()?,
        };
        let sum = check_sum(&mut fields, bytes, "the trailer's checksum is wrong")?;
        Ok((trailer, sum))
    }
}
