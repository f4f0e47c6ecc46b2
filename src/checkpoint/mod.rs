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
//! A [`CheckpointStore`] writes the pieces of a checkpoint to a *segment* and completes it with a *manifest*, see
//! [`format`](mod@format) for their bytes. Changes are *chained* to what they change; chains are folded before they
//! get long. All files stand behind one trait, [`Storage`]: what no test can do to a disk, [`SimulatedStorage`] does
//! to memory.
//!
//! *Architecture invariant:* nothing here knows an operator, a ring or a job.

mod error;
mod fields;
mod files;
mod fold;
pub mod format;
pub mod inspect;
mod manifest;
mod memory;
mod operator_state;
mod piece;
mod redistribution;
mod restored;
mod savepoint;
mod segment_reader;
mod segment_writer;
mod snapshot;
mod storage;
mod store;
mod table_snapshot;
mod value_snapshot;

pub use error::CheckpointError;
pub use fold::{FoldTask, Folded};
pub use manifest::{Chain, Link, Manifest, ManifestState, OperatorInfo, SegmentInfo};
pub use memory::MemorySnapshot;
pub use operator_state::{OperatorState, RestoredState};
pub use piece::{Piece, PieceKind, PieceRef, StateRef};
pub use redistribution::{share, share_from};
pub use restored::{Pieces, Restored};
pub use savepoint::{Export, open_savepoint};
pub use snapshot::{Deferred, PieceSink, SnapshotOutput, StateReport};
pub use storage::{
    DirectoryLock, Durability, Fault, Faults, Filling, HeapStorage, Loss, Operation, OperationKind,
    ReadAt, RealStorage, SimulatedStorage, Storage, WriteOnce,
};
pub use store::{
    CheckpointStore, Completed, Contents, Pending, Rejected, StoreOptions, SubtaskReport,
};
pub use table_snapshot::{TableSnapshot, put_drained};
pub use value_snapshot::ValueSnapshot;
