//! A batch of entries in memory, in which the last write of a key wins.

use std::collections::BTreeMap;

use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::piece::{PieceKind, PieceRef, StateRef};
use crate::record::{FormError, KeyHash, KeyHasher, take_item};
use crate::seeded_bugs::seeded;
use crate::state::{HashOfKey, StateSchema};

/// A piece is written once it has about this many bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// As much of a state's schema as it takes to tell entries apart without knowing their types.
pub(in crate::checkpoint) struct EntryLayout<'a> {
    pub(in crate::checkpoint) state: &'a StateRef,
    pub(in crate::checkpoint) schema: &'a StateSchema,
    pub(in crate::checkpoint) hasher: KeyHasher,
    pub(in crate::checkpoint) hash_of_key: Option<HashOfKey>,
}

/// An entry or a removed key within a piece.
pub(in crate::checkpoint) struct Item<'a> {
    pub(in crate::checkpoint) key: &'a [u8],
    /// The value's bytes; empty for a removed key.
    pub(in crate::checkpoint) value: &'a [u8],
    /// All of its bytes, lengths included.
    pub(in crate::checkpoint) bytes: &'a [u8],
}

impl EntryLayout<'_> {
    /// Calls `visit` with every item of a piece.
    pub(in crate::checkpoint) fn items<'b>(
        &self,
        piece: &PieceRef<'b>,
        mut visit: impl FnMut(Item<'b>) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let mut rest = piece.bytes;
        if rest.is_empty() && piece.count > 0 {
            // Neither keys nor values have any bytes: there can be only one such entry.
            let (key, value, bytes) = (rest, rest, rest);
            return visit(Item { key, value, bytes });
        }
        while !rest.is_empty() {
            let start = rest;
            let item = self.item(piece.kind, &mut rest);
            let (key, value) = item.map_err(|cause| self.malformed(cause))?;
            let bytes = &start[..start.len() - rest.len()];
            if bytes.is_empty() {
                let cause = FormError::new::<[u8]>(rest, "they should be none");
                return Err(self.malformed(cause));
            }
            visit(Item { key, value, bytes })?;
        }
        Ok(())
    }

    fn item<'b>(
        &self,
        kind: PieceKind,
        rest: &mut &'b [u8],
    ) -> Result<(&'b [u8], &'b [u8]), FormError> {
        let length = |length: Option<u32>| length.map(|length| length as usize);
        let key = take_item(length(self.schema.key.length), rest)?;
        let value = match kind {
            PieceKind::Set | PieceKind::Values => {
                take_item(length(self.schema.value.length), rest)?
            }
            _ => &[],
        };
        Ok((key, value))
    }

    fn malformed(&self, cause: FormError) -> CheckpointError {
        CheckpointError::Malformed {
            state: self.state.clone(),
            cause,
        }
    }

    /// The hash by which entries are ordered. If the job's own is unknown, any will do: it only makes restoring slower.
    pub(super) fn hash(&self, key: &[u8]) -> Result<KeyHash, CheckpointError> {
        match self.hash_of_key {
            Some(hash) => hash(&self.hasher, key).map_err(|cause| self.malformed(cause)),
            None => Ok(KeyHash::of_bytes(key)),
        }
    }
}

/// The position of an entry in the batch.
struct Entry {
    namespace: i64,
    hash: KeyHash,
    start: usize,
    length: u32,
    key_start: u32,
    key_length: u32,
    /// How many entries precede it.
    order: u32,
    is_removed: bool,
}

/// The approximate memory overhead per entry.
pub(super) const ENTRY_COST: u64 = size_of::<Entry>() as u64;

/// Entries and removals, in the order in which they were made.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// For each dropped namespace, how many entries there were when it was last dropped.
    dropped: BTreeMap<i64, u32>,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.dropped.clear();
    }

    /// Applies a piece on top of the previous ones.
    pub(super) fn add(
        &mut self,
        layout: &EntryLayout<'_>,
        piece: &PieceRef<'_>,
    ) -> Result<(), CheckpointError> {
        if piece.kind == PieceKind::Dropped {
            self.dropped
                .insert(piece.namespace, self.entries.len() as u32);
            return Ok(());
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(piece.bytes);
        layout.items(piece, |item| {
            let at = item.bytes.as_ptr().addr() - piece.bytes.as_ptr().addr();
            let key_at = item.key.as_ptr().addr() - item.bytes.as_ptr().addr();
            self.entries.push(Entry {
                namespace: piece.namespace,
                hash: layout.hash(item.key)?,
                start: start + at,
                length: item.bytes.len() as u32,
                key_start: key_at as u32,
                key_length: item.key.len() as u32,
                order: self.entries.len() as u32,
                is_removed: piece.kind == PieceKind::Removed,
            });
            Ok(())
        })
    }

    /// Passes the remaining entries to `put` in pieces, ordered by namespace and hash.
    pub(super) fn fold(
        &mut self,
        subtask: u32,
        mut put: impl FnMut(PieceRef<'_>) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let (bytes, dropped) = (&self.bytes, &self.dropped);
        let key = |entry: &Entry| {
            let start = entry.start + entry.key_start as usize;
            &bytes[start..start + entry.key_length as usize]
        };
        let place = |entry: &Entry| (entry.namespace, entry.hash);
        // A stable sort: equal keys stay in the order in which they came, and input that is already in order, as most
        // of a base is, costs next to nothing.
        let by_key =
            |a: &Entry, b: &Entry| place(a).cmp(&place(b)).then_with(|| key(a).cmp(key(b)));
        self.entries.sort_by(by_key);
        let mut piece = Piece::default();
        let same = |a: &Entry, b: &Entry| by_key(a, b).is_eq();
        for of_key in self.entries.chunk_by(same) {
            let last = of_key.last().expect("no chunk is empty");
            let is_dropped = dropped
                .get(&last.namespace)
                .is_some_and(|before| last.order < *before);
            let is_removed = last.is_removed && !seeded("removal-lost-in-fold");
            if is_removed || is_dropped {
                continue;
            }
            if piece.namespace != last.namespace || piece.bytes.len() >= PIECE_BYTES {
                piece.put(subtask, &mut put)?;
                piece.namespace = last.namespace;
            }
            piece
                .bytes
                .extend_from_slice(&bytes[last.start..last.start + last.length as usize]);
            piece.count += 1;
        }
        piece.put(subtask, &mut put)
    }
}

/// A piece that is being filled.
#[derive(Default)]
struct Piece {
    namespace: i64,
    count: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn put(
        &mut self,
        subtask: u32,
        put: &mut impl FnMut(PieceRef<'_>) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        if self.count > 0 {
            put(PieceRef {
                subtask,
                kind: PieceKind::Set,
                namespace: self.namespace,
                count: self.count,
                bytes: &self.bytes,
            })?;
        }
        (self.count, _) = (0, self.bytes.clear());
        Ok(())
    }
}
