//! Keyed state: what a subtask remembers between records.

mod aggregate;
mod table;

pub use aggregate::{Aggregate, Count, Max, Mean, Min, Sum};
pub use table::{
    Change, Cursor, EncodeChange, Extent, Iter, MemoryMode, Table, TableKey, TableOptions,
};
