//! Keyed state and timers: what a subtask remembers between records, without files and threads.

mod aggregate;
mod table;
mod timers;

pub use aggregate::{Aggregate, Count, Max, Mean, Min, Sum};
pub use table::{
    Change, Cursor, EncodeChange, Extent, Iter, MemoryMode, Table, TableKey, TableOptions,
};
pub use timers::{Timer, TimerChanges, TimerQueue, TimersByGroup};
