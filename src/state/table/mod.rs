//! The keyed state table: extendible hashing over cache-line groups, with change tracking.
//!
//! Its design goals, in order of importance: updates that wait for memory as little as possible, growth without pauses,
//! and checkpoints whose cost is proportional to the changes and that block nobody.
//!
//! ```text
//! hash   63 … top bits ──► directory ──► segment, 64 KB, of a hash range of its own
//!        the next bits ──► group of 3 to 7 slots: tags, change marks, entries, side by side
//!        bits 6 … 0    ──► tag of the slot
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `keyed` | [`Table`]: the operations called per record |
//! | `directory`, `shape` | which segment covers a hash; splitting; the initial size |
//! | `upsert_run`, `way` | upserts of consecutive records |
//! | `handle`, `segment`, `entry` | one small open-addressing table: search; its metadata; insertion and removal |
//! | `layout`, `group` | a group in memory; its two words as arithmetic |
//! | `change`, `drain` | change marks, the frozen generation; draining it in slices |
//! | `chunks` | drained entries, in reusable buffers |
//! | `restore` | restoring entries and removals from a checkpoint |
//! | `iter`, `scan` | iteration; in steps |
//! | `memory`, `page`, `chunk_pool` | blocks, huge pages, the thread that prepares them |
//!
//! # Prefetching
//!
//! An update waits for one cache line if entries have at most 16 bytes, and for two or three if they are larger.
//! [`Table::prefetch`] requests them in advance: all at once if the group has one line and seldom overflows, or has two
//! and the table is not very large; otherwise in two stages, each at its own distance ([`Lookahead`]). A caller with
//! few records at hand simply skips prefetching.
//!
//! # Performance
//!
//! What counts is how many lines an update touches, near or far, and how seldom its branches are mispredicted. A group
//! of one line touches one. That it seldom overflows is due to the hash: if keys are consecutively assigned numbers,
//! [`KeyHash`](crate::record::KeyHash) spreads them more evenly than chance, and the bits after the segment's choose
//! the group, so that groups fill evenly, too. Random updates of ten million such keys then take 13 ns, and of a
//! million 8, where two lines and chance took 26 and 13 (`u64 → u64`, change marks included, a shared two-core
//! machine).
//!
//! A bare loop over a table with four entries a line and nothing else takes four fifths of the time; at a million
//! keys it makes no difference to it whether its table has 22 MB or the 31 MB of this one. A running sum takes some 70
//! instructions here, 20 of them to find the group ahead of its turn, and 45 there.
//!
//! # Rejected alternatives
//!
//! * Groups of two lines with seven entries of 16 bytes: at ten million keys the second line costs as much as the
//!   first. Randomly distributed keys, too, gain from a single line at ten million, and lose nothing at a million; only
//!   hot keys of a large table take a quarter longer, because more of them are away from home.
//! * A group's index from the low bits of the hash: keys whose top bits are evenly spread are not even in bits that
//!   follow much later.
//! * Lines of four entries, all keys compared at once, with the slots' states in two bytes after the segment's lines: a
//!   hit in memory then waits for a line of entries and one of states. With the states in the bits of the key's hash
//!   that the position implies: as fast as three entries with tags, if the hash is even.
//! * Keeping the counts that an insertion changes in the segment's header: one more line, a quarter of an update at ten
//!   million keys.
//! * Never prefetching the second line of a group: a third of the hits then wait for it, and an update at a million
//!   keys takes two thirds longer.
//! * Segments of 32 KB: the directory of a large table then crowds the second-level cache. Of 128 KB and more: no clear
//!   gain, and splits take longer.
//! * Looking ahead by 24 records instead of 48: a sixth more time for hot keys. By 96: a twentieth more, everywhere.
//! * Looking up four, eight or sixteen records at once, before as many are upserted, instead of one by one: with eight
//!   a tenth more time for hot keys, and a sixth more at a million keys; sixteen are worse.
//! * Prefetching lines into the second-level cache only (`prefetcht1`): no difference; while others crowd the last-level
//!   cache, a third less time for uniform access to a million keys. Joins take a thirtieth more.
//! * A fuller table. To 3/4 instead of 11/16, if a million keys are expected: a twentieth less time, and a tenth more
//!   for randomly distributed keys; beyond that it is no faster, because even evenly spread keys are then away from
//!   home. To 7/8, with randomly distributed keys: a tenth of the searches continues to a second group, and at a
//!   million keys and more those cost as much as all others together.

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
pub use iter::Iter;
pub use key::TableKey;
pub use keyed::{Lookahead, Table, TableOptions};
pub use layout::GroupEntries;
pub use memory::MemoryMode;
pub use scan::Bookmark;
pub use upsert_run::RunKeys;
