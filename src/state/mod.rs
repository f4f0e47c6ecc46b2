//! Keyed state: what a subtask remembers between records.

mod table;

pub use table::{
    Change, Cursor, EncodeChange, Extent, Iter, MemoryMode, Table, TableKey, TableOptions,
};
