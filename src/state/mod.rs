//! Keyed state and timers: who holds what per key, without files and without threads.

mod aggregate;
mod aggregating;
mod backend;
mod list;
mod map;
mod reducing;
mod table;
mod timers;
mod value;

pub use aggregate::{Aggregate, Count, Max, Mean, Min, Sum};
pub use aggregating::AggregatingState;
pub use backend::{KeyedBackend, KeyedScope, KeyedTable, Scope, ScopeMut, StateError, StateKind};
pub use list::ListState;
pub use map::MapState;
pub use reducing::ReducingState;
pub use table::{
    Change, Cursor, EncodeChange, Extent, Iter, MemoryMode, Table, TableKey, TableOptions,
};
pub use timers::{Timer, TimerChanges, TimerQueue, TimersByGroup};
pub use value::ValueState;
