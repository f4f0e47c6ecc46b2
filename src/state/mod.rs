//! Keyed state and timers: who holds what per key, without files and without threads.

mod aggregate;
mod table;
mod timers;

pub use aggregate::{Aggregate, Count, Max, Mean, Min, Sum};
pub use table::{
    Change, Cursor, EncodeChange, Extent, Iter, MemoryMode, Table, TableKey, TableOptions,
};
pub use timers::{Timer, TimerChanges, TimerQueue, TimersByGroup};
