//! The keyed state table: extendible hashing over cache-line groups, with change tracking.
//!
//! What it is for, in the order of importance: an update that waits for memory as little as
//! possible, growth without a pause, and a checkpoint that costs what changed and stops nobody.
//!
//! ```text
//! hash   63 … top bits ──► directory ──► segment, 64 KB, of a hash range of its own
//!        bits 7 …      ──► group of 7 slots: tags, change marks, entries, side by side
//!        bits 6 … 0    ──► tag of the slot
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `keyed` | [`Table`]: what is called per record |
//! | `directory` | which segment covers a hash; splitting |
//! | `segment`, `entry` | one small open-addressing table: search; insertion and removal |
//! | `layout`, `group` | a group in memory; its two words as arithmetic |
//! | `change`, `drain` | stamps, the frozen generation; draining in slices |
//! | `chunks` | what was drained, in buffers that come back |
//! | `restore` | taking entries and removals over from a checkpoint |
//! | `iter`, `scan` | walking, in hash order where asked for; in steps |
//! | `memory`, `page`, `chunk_pool` | blocks, huge pages, the thread that prepares them |
//!
//! # Prefetching
//!
//! One update waits for two cache lines at most, and both can be asked for ahead by
//! [`Table::prefetch`]: at once where the group has no more and caches may hold it, or else in two stages,
//! each at its own distance ([`Lookahead`]). A caller with few records at hand simply leaves them out.
//!
//! # Where it stands
//!
//! Beside hashbrown with foldhash on a shared two-core machine, random updates of `u64 → u64`,
//! change marks included (`benches/table.rs`): batched 3 times as fast at ten million keys, 1.8
//! times at a million, even at a hundred thousand; at a thousand keys, all in the nearest cache, it
//! takes 1.7 times as long (45 instructions against 33, and one more load in the chain that a
//! mispredicted branch waits for). The longest insertion while growing to ten million keys takes
//! 0.1 to 0.2 ms, hashbrown's 70 to 290 ms.
//!
//! # What was tried and left
//!
//! * Groups of one line (3 entries): see `layout`.
//! * A second stage for groups of two lines, to fetch only the line that is needed, where the table fits in
//!   the last cache: its fifteen instructions cost more than the line. From memory the line costs more: a
//!   sixth of the time of an update at ten million keys.
//! * Not to fetch the second line at all: a third of the hits then wait for it, and an update at a million
//!   keys takes two thirds longer.
//! * The group's shift in the low bits of the segment's handle, so that segments may differ in
//!   size: four more instructions on the way to the group, a tenth of a hit in cache.
//! * Segments of 32 KB: the directory of a large table then crowds the second cache. Of 128 KB and
//!   more: no clear gain, and splits take longer.
//! * Lines of four entries and nothing else, keys compared all at once, with the slots' states in two bytes behind
//!   the segment's lines: a hit in memory then waits for a line of entries and one of states, and at ten million keys
//!   that costs as much as the two lines of a group. What counts is how many lines a record touches, near or far.
//! * Groups of one line with three entries: an update at a million keys takes half as long again, for what
//!   overflows.
//! * A fuller table (7/8): a tenth of the searches goes on to a second group, and at a million keys
//!   and more those cost as much as all others together.

mod change;
mod chunk_pool;
mod chunks;
mod directory;
mod drain;
mod entry;
mod group;
mod iter;
mod key;
mod keyed;
mod layout;
mod memory;
#[cfg(test)]
mod model_test;
mod page;
mod restore;
mod scan;
mod segment;
#[cfg(test)]
mod table_test;

pub use change::{Drained, EncodeChange, Extent};
pub use chunks::{CHUNK_BYTES, Chunk, Chunks};
pub use drain::Cursor;
pub use iter::Iter;
pub use key::TableKey;
pub use keyed::{Lookahead, Table, TableOptions};
pub use layout::GroupEntries;
pub use memory::MemoryMode;
pub use scan::Bookmark;
