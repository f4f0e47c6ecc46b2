//! The keyed state table: extendible hashing over cache-line groups, with change tracking.
//!
//! What it is for, in the order of importance: an update that waits for memory as little as
//! possible, growth without a pause, and a checkpoint that costs what changed and stops nobody.
//!
//! ```text
//! hash   63 … top bits ──► directory ──► segment, 64 KB, of a hash range of its own
//!        the next bits ──► group of 3 to 7 slots: tags, change marks, entries, side by side
//!        bits 6 … 0    ──► tag of the slot
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `keyed` | [`Table`]: what is called per record |
//! | `directory`, `shape` | which segment covers a hash; splitting; how many there are at first |
//! | `upsert_run`, `way` | upserts of records that follow one another |
//! | `handle`, `segment`, `entry` | one small open-addressing table: search; what it knows; insertion and removal |
//! | `layout`, `group` | a group in memory; its two words as arithmetic |
//! | `change`, `drain` | stamps, the frozen generation; draining in slices |
//! | `chunks` | what was drained, in buffers that come back |
//! | `restore` | taking entries and removals over from a checkpoint |
//! | `iter`, `scan` | walking, in hash order where asked for; in steps |
//! | `memory`, `page`, `chunk_pool` | blocks, huge pages, the thread that prepares them |
//!
//! # Prefetching
//!
//! An update waits for one cache line where entries have at most 16 bytes, and for two or three where they are
//! larger. They can be asked for ahead by [`Table::prefetch`]: at once where the group has one and seldom passes entries
//! on, or has two and the table is not very large; or else in two stages, each at its own distance ([`Lookahead`]). A
//! caller with few records at hand simply leaves them out.
//!
//! # Where it stands
//!
//! What counts is how many lines an update touches, near or far, and how seldom its branches surprise the processor. A
//! group of one line touches one. That it overflows seldom is the work of the hash: where keys are numbers that were
//! given out one after the other, [`KeyHash`](crate::record::KeyHash) spreads them more evenly than chance, and the next
//! bits behind the segment's choose the group, so that groups fill evenly as well. Updates of random ones of ten million
//! such keys then take 13 ns, and of a million 8, where two lines and chance took 26 and 13 (`u64 → u64`, change marks
//! included, a shared two-core machine).
//!
//! At a million keys it is the last cache that decides: a bare loop over a table of four entries a line and nothing else
//! takes 5.5 to 6.0 ns where that has 22 MB, and 7.7 to 9.3 where it is given the 31 that this one has, which takes 8.4.
//!
//! # What was tried and left
//!
//! * Groups of two lines with seven entries of 16 bytes: at ten million keys the second line costs as much as the first.
//!   Keys that lie by chance gain by one line too at ten million, and lose nothing at a million; only hot ones of a large
//!   table take a quarter longer, because more of them are not at home.
//! * A group's index from the low bits of the hash: keys whose top bits are spread evenly are not even in those that follow
//!   much later.
//! * Lines of four entries, keys compared all at once, with the slots' states in two bytes behind
//!   the segment's lines: a hit in memory then waits for a line of entries and one of states. With the states in the bits
//!   of the key's hash that the place implies: as fast as three entries with tags, where the hash is even.
//! * What an insertion counts in the segment's header: one more line, a quarter of an update at ten million keys.
//! * Not to fetch a second line of a group at all: a third of the hits then wait for it, and an update at a million
//!   keys takes two thirds longer.
//! * Segments of 32 KB: the directory of a large table then crowds the second cache. Of 128 KB and
//!   more: no clear gain, and splits take longer.
//! * Looking ahead by 24, 96 or 128 records instead of 48: a sixth, a thirteenth and an eighth more time for hot keys. Eight
//!   or sixteen records at once: as many lines at once are more than the processor fetches, a tenth and a quarter more time
//!   at a million keys.
//! * To fetch lines into the second cache only (`prefetcht1`), with or without a second prefetch nearby: even use of a
//!   million keys takes a twentieth less time, and a third less while others crowd the last cache; hot keys of a million
//!   take a fourteenth more, and joins a thirtieth.
//! * A fuller table. To 3/4 instead of 11/16, where a million keys are expected: a twentieth less time, and a tenth more for
//!   keys that lie by chance; beyond that it is no faster, as even keys are not at home then. To 7/8, with keys that lie
//!   by chance: a tenth of the searches goes on to a second group, and at a million keys and more those cost as much as
//!   all others together.

mod change;
mod chunk_pool;
mod chunks;
mod directory;
mod drain;
mod entry;
mod group;
mod handle;
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
mod shape;
#[cfg(test)]
mod table_test;
mod upsert_run;
mod way;

pub use change::{Drained, EncodeChange, Extent};
pub use chunks::{CHUNK_BYTES, Chunk, Chunks};
pub use drain::Cursor;
pub use iter::Iter;
pub use key::TableKey;
pub use keyed::{Lookahead, Table, TableOptions};
pub use layout::GroupEntries;
pub use memory::MemoryMode;
pub use scan::Bookmark;
pub use upsert_run::RunKeys;
