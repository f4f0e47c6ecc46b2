//! Keyed state: what a subtask remembers between records.
//!
//! [`Table`] is what all keyed state rests on: a hash table made for batches, growth without a
//! pause, and checkpoints that cost what changed.

mod table;

pub use table::{
    Change, Cursor, EncodeChange, Extent, Iter, MemoryMode, PREFETCH_DISTANCE,
    PREFETCH_ENTRY_DISTANCE, Table, TableKey, TableOptions,
};
