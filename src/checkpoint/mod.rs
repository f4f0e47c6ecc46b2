//! Checkpoints: durable snapshots of state, taken by subtasks at a barrier and restored by them later.
//!
//! ```text
//! operator ─ freeze ─ drain ─► SnapshotOutput ─ pieces ─► whoever writes them ─► segment, manifest
//! operator ◄─ restore ──────── Restored ◄──── pieces ──── whoever reads them ◄── segments, manifest
//! ```
//! An operator *freezes* its state in constant time when a barrier passes it, and keeps processing; the frozen state is
//! *drained* in slices between batches, as [`Piece`]s: bytes of one state, in the encoding of its schema.
//! A piece says which state and subtask it belongs to, never what its bytes mean: nothing here knows a user's type.
//!
//! A [`CheckpointStore`] writes the pieces of a checkpoint to a *segment* and completes it with a *manifest*; see
//! [`format`](mod@format) for the layout of both. Incremental changes are *chained* to their base; chains are folded
//! before they grow long. All file access goes through one trait, [`Storage`]: [`SimulatedStorage`] reproduces in
//! memory the failures that a test cannot inflict on a disk.
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
pub use restored::{Pieces, Rejected, Restored};
pub use savepoint::{Export, open_savepoint};
pub use snapshot::{Deferred, PieceSink, SnapshotOutput, StateReport};
pub use storage::{
    DirectoryLock, Durability, Fault, Faults, Filling, HeapStorage, Loss, Operation, OperationKind,
    ReadAt, RealStorage, SimulatedStorage, Storage, WriteOnce,
};
pub use store::{CheckpointStore, Completed, Contents, Pending, StoreOptions, SubtaskReport};
pub use table_snapshot::{TableSnapshot, put_drained};
pub use value_snapshot::ValueSnapshot;
