//! Checkpoints: state made durable. What subtasks hand over at a barrier, and what they get back.
//!
//! ```text
//! operator ─ freeze ─ drain ─► SnapshotOutput ─ pieces ─► whoever writes them ─► segment, manifest
//! operator ◄─ restore ──────── Restored ◄──── pieces ──── whoever reads them ◄── segments, manifest
//! ```
//! An operator *freezes* its state when a barrier passes it, in constant time, and goes on; what it froze is
//! *drained* in slices between batches, as [`Piece`]s: bytes of one state, in the encoding of its schema.
//! A piece says what it is and whose, never what its bytes mean: nothing here knows a user's type.
//!
//! *Architecture invariant:* nothing here knows an operator, a ring or a job.

mod error;
mod memory;
mod piece;
mod redistribution;
mod restored;
mod snapshot;
mod stub;
mod table_snapshot;
mod value_snapshot;
pub use stub::*;

pub use error::CheckpointError;
pub use memory::MemorySnapshot;
pub use piece::{Piece, PieceKind, PieceRef, StateRef};
pub use redistribution::share;
pub use restored::{Pieces, Restored};
pub use snapshot::{Deferred, PieceSink, SnapshotOutput, StateReport};
pub use table_snapshot::{TableSnapshot, put_drained};
pub use value_snapshot::ValueSnapshot;
