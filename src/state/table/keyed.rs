//! The table itself: the operations called per record.

#![expect(unsafe_code, reason = "turns places just found into references")]

use std::fmt;
use std::ops::RangeInclusive;
use std::ptr::NonNull;

use super::change::{Changes, EncodeChange, Extent};
use super::directory::Directory;
use super::handle::Search;
use super::key::TableKey;
use super::layout::{Entry, Group, Place};
use super::memory::MemoryMode;
use crate::record::{KeyHash, KeyHasher};

/// Which of the two cache lines that a search waits for is prefetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookahead {
    /// The first one, computed from the hash alone.
    Far,
    /// The second one: examines the first, which should have arrived by then.
    Near,
}

impl Lookahead {
    /// How many records ahead of the search the prefetch pays most; half or twice as many is nearly as good.
    #[must_use]
    pub const fn distance(self) -> usize {
        match self {
            Lookahead::Far => 48,
            Lookahead::Near => 12,
        }
    }
}

/// The initial configuration of a table.
#[derive(Debug, Clone)]
pub struct TableOptions<K, V> {
    /// How many keys the table is expected to hold: room for them is reserved, and its pages are touched, before the
    /// first record. 0 if unknown.
    pub expected_keys: usize,
    /// How many keys are restored from a checkpoint: room for them is reserved, too, and its pages are touched during
    /// the restore, also by another thread.
    pub restored_keys: usize,
    /// How the hashes that callers pass are computed.
    pub hasher: KeyHasher,
    /// The range of those keys' hashes: the key groups of this subtask.
    pub hashes: RangeInclusive<KeyHash>,
    /// Which pages the table uses.
    pub memory: MemoryMode,
    /// How to encode changes. With `None` nothing is tracked, and the table cannot be frozen.
    pub changes: Option<EncodeChange<K, V>>,
}

impl<K, V> Default for TableOptions<K, V> {
    fn default() -> Self {
        TableOptions {
            expected_keys: 0,
            restored_keys: 0,
            hasher: KeyHasher::default(),
            hashes: KeyHash(0)..=KeyHash(u64::MAX),
            memory: MemoryMode::default(),
            changes: None,
        }
    }
}

/// A hash table for the keyed state of one subtask.
///
/// Every method that takes a hash expects [`TableKey::hash_under`] of the key it looks for, under the table's hasher.
/// Any other hash is a programming error: keys are then not found, but memory stays safe.
pub struct Table<K, V> {
    pub(super) directory: Directory<K, V>,
    pub(super) changes: Changes<K, V>,
    pub(super) len: usize,
}

impl<K, V> Table<K, V> {
    /// Creates an empty table. With many expected keys this takes a while: it touches all of their pages.
    #[must_use]
    pub fn new(options: TableOptions<K, V>) -> Self {
        Table {
            directory: Directory::new(
                options.memory,
                options.hasher,
                (options.expected_keys, options.restored_keys),
                options.hashes,
            ),
            changes: Changes::new(options.changes),
            len: 0,
        }
    }

    /// How many entries there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How the hashes that callers pass are computed.
    #[must_use]
    pub fn hasher(&self) -> KeyHasher {
        self.directory.hasher
    }

    /// Bytes of memory that the table occupies, excluding what its keys and values own elsewhere.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.directory.memory_bytes() + self.changes.memory_bytes()
    }

    /// Whether [`Table::prefetch`] pays: it does not while the table is small enough for the nearest caches.
    #[inline(always)]
    #[must_use]
    pub fn looks_ahead(&self) -> bool {
        self.directory.looks_ahead()
    }

    /// Prefetches a cache line that a search for `hash` will read [`Lookahead::distance`] records later.
    #[inline(always)]
    pub fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        match ahead {
            Lookahead::Far => self.directory.prefetch(hash),
            Lookahead::Near => self.directory.prefetch_entry(hash),
        }
    }

    /// The value of the key that `equal` accepts.
    #[inline]
    pub fn get(&self, hash: KeyHash, equal: impl FnMut(&K) -> bool) -> Option<&V> {
        let place = self.directory.find(hash, equal)?;
        // SAFETY: a place that was found holds an entry, and it stays while the table is borrowed.
        Some(unsafe { &place.entry().as_ref().value })
    }

    /// The value of the key that `equal` accepts, for changing: counts as changed from here on.
    #[inline]
    pub fn get_mut(&mut self, hash: KeyHash, equal: impl FnMut(&K) -> bool) -> Option<&mut V> {
        let place = self.directory.find(hash, equal)?;
        let mut segment = self.directory.segment_mut(hash);
        // SAFETY: the place was just found in this segment; it stays while the table is borrowed.
        Some(unsafe { segment.touch(place, &mut self.changes).as_mut() })
    }

    /// Removes and returns the entry whose key `equal` accepts.
    #[inline]
    pub fn remove(&mut self, hash: KeyHash, equal: impl FnMut(&K) -> bool) -> Option<(K, V)> {
        let place = self.directory.find(hash, equal)?;
        let mut segment = self.directory.segment_mut(hash);
        // SAFETY: the place was just found in this segment by this hash.
        let entry = unsafe { segment.remove(hash, place, &mut self.changes) };
        self.len -= 1;
        Some((entry.key, entry.value))
    }

    /// Freezes the current generation of changes in constant time, to be drained in slices while the table keeps
    /// changing.
    ///
    /// # Panics
    /// If the table does not track changes, or the previously frozen generation is not drained.
    pub fn freeze(&mut self, extent: Extent) {
        let groups = self.directory.group_count();
        self.changes.freeze(extent, groups, self.len);
    }

    /// Whether more than half of the entries have changed since the last freeze, estimated by a sample. False if the
    /// table is small, or was filled by those changes.
    #[must_use]
    pub fn most_have_changed(&self) -> bool {
        self.changes.are_most(self.len)
    }

    /// Announces that the next freeze will be of the whole table, so that it does not matter which entries change until
    /// then. Should that freeze be one of changes nevertheless, it includes entries that have not changed.
    pub fn expect_whole(&mut self) {
        self.changes.expect_whole();
    }

    /// Whether a frozen generation is not drained yet.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.changes.frozen.is_some()
    }
}

impl<K: TableKey, V> Table<K, V> {
    /// The value of the key that `equal` accepts, and whether it was just inserted: then `make` returned the key, with
    /// the same hash, and the first value. Counts as changed from here on.
    #[inline(always)]
    pub fn find_or_insert_with(
        &mut self,
        hash: KeyHash,
        equal: impl FnMut(&K) -> bool,
        make: impl FnOnce() -> (K, V),
    ) -> (&mut V, bool) {
        let (mut value, inserted) = match self.directory.search(hash, equal) {
            Search::Found(place) => {
                let mut segment = self.directory.segment_mut(hash);
                // SAFETY: the place was just found in this segment.
                (unsafe { segment.touch(place, &mut self.changes) }, false)
            }
            Search::Absent(home) => (self.insert_absent(hash, home, make()), true),
        };
        // SAFETY: the entry was just found or written; it stays while the table is borrowed.
        (unsafe { value.as_mut() }, inserted)
    }

    /// Inserts an entry whose key is in no group that a search visits, at home if there is room.
    #[inline(never)]
    pub(super) fn insert_absent(
        &mut self,
        hash: KeyHash,
        home: Group<K, V>,
        (key, value): (K, V),
    ) -> NonNull<V> {
        let mut segment = self.directory.segment_mut(hash);
        let slot = home.tags().free(Group::<K, V>::SLOTS).first();
        if let Some(slot) = slot
            && segment.has_room()
        {
            self.len += 1;
            let place = Place { group: home, slot };
            segment.fill(&place, hash, Entry { key, value });
            // Calls are in tail position only: a function that continues after a call has to save its caller's
            // registers first.
            return if self.changes.tracked() {
                self.note_inserted(hash, place)
            } else {
                place.value()
            };
        }
        self.insert_further(hash, Entry { key, value })
    }

    /// Marks an entry that was just inserted as changed.
    #[inline(never)]
    fn note_inserted(&mut self, hash: KeyHash, place: Place<K, V>) -> NonNull<V> {
        let mut segment = self.directory.segment_mut(hash);
        segment.change(place, &mut self.changes);
        place.value()
    }

    /// Inserts an entry whose home or segment is full.
    #[cold]
    #[inline(never)]
    fn insert_further(&mut self, hash: KeyHash, entry: Entry<K, V>) -> NonNull<V> {
        let mut segment = self.directory.roomy_segment(hash, &mut self.changes);
        self.len += 1;
        let value = segment.insert(hash, entry, &mut self.changes);
        self.directory.notice_strays(&segment);
        value
    }
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
