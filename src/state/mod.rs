//! Keyed state and timers: what a subtask remembers between records, without files and threads.
//!
//! [`Table`] is what all keyed state rests on: a hash table made for batches, growth without a
//! pause, and checkpoints that cost what changed.

mod aggregate;
mod aggregating;
mod backend;
mod list;
mod log;
mod map;
mod prefetch;
mod reducing;
mod table;
mod timers;
mod value;

pub use aggregate::{Aggregate, Count, Max, Mean, Min, Sum};
pub use aggregating::AggregatingState;
pub use backend::{KeyedBackend, KeyedScope, KeyedTable, Scope, ScopeMut, StateError, StateKind};
pub use list::ListState;
pub use log::{ChunkPool, RecordLog, Run};
pub use map::MapState;
pub(crate) use prefetch::prefetch;
pub use reducing::ReducingState;
pub use table::{
    Bookmark, Change, Cursor, EncodeChange, Extent, Iter, Lookahead, MemoryMode, Table, TableKey,
    TableOptions,
};
pub use timers::{Timer, TimerChanges, TimerQueue, TimersByGroup};
pub use value::ValueState;
