//! Keyed state and timers: what a subtask remembers between records. No files are involved, and no threads except those
//! that prepare memory.
//!
//! [`Table`] is the basis of all keyed state: a hash table designed for batches, growth without pauses, and checkpoints
//! whose cost is proportional to the changes.

mod aggregate;
mod aggregating;
mod backend;
mod durable_table;
mod error;
mod keyed_table;
mod list;
mod log;
mod map;
mod prefetch;
pub(crate) use prefetch::{LINE, prefetch, prefetch_bytes};
mod reducing;
mod schema;
mod table;
mod timers;
mod value;

pub(crate) use aggregate::yields;
pub use aggregate::{Aggregate, Count, Max, Mean, Min, Sum};
pub use aggregating::AggregatingState;
pub use backend::{KeyedBackend, KeyedScope, Scope, ScopeMut};
pub use durable_table::{DurableTable, entries, removed_keys};
pub use error::StateError;
pub use keyed_table::KeyedTable;
pub use list::ListState;
pub use log::{
    ChunkPool, RecordLog, Run, encode_logged, hash_of_logged, log_schema, logged_records,
};
pub use map::MapState;
pub use reducing::ReducingState;
pub use schema::{
    HashOfKey, StateKind, StateSchema, TypeLayout, decode_key, decode_value, encode_changes,
    encode_value, hash_of_key,
};
pub use table::{
    Bookmark, CHUNK_BYTES, Chunk, Chunks, Drained, EncodeChange, Extent, GroupEntries, Iter,
    Lookahead, MemoryMode, RunKeys, Table, TableKey, TableOptions,
};
pub use timers::{DurableTimers, Timer, TimerQueue, hash_of_timer, timer_schema};
pub use value::ValueState;
