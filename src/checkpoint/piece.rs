//! Pieces: the unit in which state leaves a subtask and comes back.

use std::fmt;
use std::sync::Arc;

/// Names a state: of which operator, and which of its states.
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

/// What the bytes of a piece are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PieceKind {
    /// Entries to be set: keys and values in turn.
    Set = 1,
    /// Keys whose entries are gone. In one checkpoint, those of a state are applied before what it sets.
    Removed = 2,
    /// All entries of the piece's namespace are gone, and it has no bytes. Applied before everything else
    /// of its checkpoint.
    Dropped = 3,
    /// Values of state without keys: all of them, at every checkpoint.
    Values = 4,
}

impl PieceKind {
    /// The kind with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        use PieceKind::{Dropped, Removed, Set, Values};
        [Set, Removed, Dropped, Values]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// Some of a state, as one subtask handed it over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Which state.
    pub state: StateRef,
    /// The subtask's index.
    pub subtask: u32,
    /// What the bytes are.
    pub kind: PieceKind,
    /// The namespace of the entries: the slice of windows, else 0.
    pub namespace: i64,
    /// How many entries, keys or values there are.
    pub count: u64,
    /// Their encoding.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// The piece, to be read.
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

/// A piece as it is read back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceRef<'a> {
    /// The index of the subtask that handed it over.
    pub subtask: u32,
    /// What the bytes are.
    pub kind: PieceKind,
    /// The namespace of the entries.
    pub namespace: i64,
    /// How many entries, keys or values there are.
    pub count: u64,
    /// Their encoding.
    pub bytes: &'a [u8],
}
