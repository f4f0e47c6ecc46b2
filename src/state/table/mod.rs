//! The keyed state table: extendible hashing over cache-line groups, with change tracking.

mod change;
mod chunk_pool;
mod directory;
mod drain;
mod group;
mod iter;
mod key;
mod keyed;
mod memory;
#[cfg(test)]
mod model_test;
mod page;
mod segment;

pub use change::{Change, EncodeChange, Extent};
pub use drain::Cursor;
pub use iter::Iter;
pub use key::TableKey;
pub use keyed::{Table, TableOptions};
pub use memory::MemoryMode;
