//! Pieces: the unit in which state leaves a subtask and comes back.

use std::fmt;
use std::sync::Arc;

/// Identifies a state by its operator and its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StateRef {
    /// The operator's uid.
    pub operator: Arc<str>,
    /// The state's name in its operator.
    pub state: Arc<str>,
}

impl fmt::Display for StateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "state `{}` of operator `{}`", self.state, self.operator)
    }
}

/// How to interpret the bytes of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PieceKind {
    /// Entries to set: keys and values alternating.
    Set = 1,
    /// Keys whose entries were removed. Within one checkpoint, a state's removals are applied before its sets.
    Removed = 2,
    /// All entries of the piece's namespace were dropped; the piece has no bytes. Applied before everything else of its
    /// checkpoint.
    Dropped = 3,
    /// Values of non-keyed state: all of them, at every checkpoint.
    Values = 4,
}

impl PieceKind {
    /// Returns the kind with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        use PieceKind::{Dropped, Removed, Set, Values};
        [Set, Removed, Dropped, Values]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// A part of a state, as one subtask handed it over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Which state.
    pub state: StateRef,
    /// The subtask's index.
    pub subtask: u32,
    /// How to interpret the bytes.
    pub kind: PieceKind,
    /// The namespace of the entries: the slice for windows, otherwise 0.
    pub namespace: i64,
    /// How many entries, keys or values it holds.
    pub count: u64,
    /// Their encoding.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Borrows the piece for reading.
    #[must_use]
    pub fn as_ref(&self) -> PieceRef<'_> {
        PieceRef {
            subtask: self.subtask,
            kind: self.kind,
            namespace: self.namespace,
            count: self.count,
            bytes: &self.bytes,
        }
    }
}

/// A borrowed piece, as read back from a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceRef<'a> {
    /// The index of the subtask that handed it over.
    pub subtask: u32,
    /// How to interpret the bytes.
    pub kind: PieceKind,
    /// The namespace of the entries.
    pub namespace: i64,
    /// How many entries, keys or values it holds.
    pub count: u64,
    /// Their encoding.
    pub bytes: &'a [u8],
}
